import { trimEnd } from '../content/trim-end.ts';
import { parse } from 'yaml';
import * as z from 'zod';

import { optionsFor, whyUnreadableYaml } from '../content/yaml-limits.ts';
import { EdgeBundleError } from '../errors.ts';
import { isRepositoryName, parseRegistry, type Reference } from './reference.ts';

/**
 * Images whose name begins with `from` are found under `to` instead: `gcr.io/team` → `harbor.example/proxy/gcr`. Both are a
 * registry in normal form, or one with a path; a prefix ends where a part of the name does.
 */
export interface MappingRule {
  readonly from: string;
  readonly to: string;
}

/**
 * One rule as it stands on a command line: `FROM=TO`.
 *
 * @throws EdgeBundleError CONFIG_INVALID
 */
export function parseMappingRule(text: string): MappingRule {
  const [from = '', to = '', ...others] = text.split('=');
  if (others.length > 0 || !text.includes('=')) {
    throw new EdgeBundleError('CONFIG_INVALID', `'${text}' is not a mapping rule: expected FROM=TO`);
  }
  return mappingRule(from, to, `'${text}'`);
}

const rulesSchema = z.record(z.string(), z.string());

const userDataSchema = z.object({
  stylus: z.object({ externalRegistries: z.object({ registryMappingRules: rulesSchema }) }),
});

/**
 * The rules in the text of an edge host's user data (`stylus.externalRegistries.registryMappingRules`), or in a YAML or
 * JSON object of nothing but rules.
 *
 * @param origin names the text in messages
 * @throws EdgeBundleError CONFIG_INVALID
 */
export function parseMappingRules(text: string, origin: string): readonly MappingRule[] {
  let document: unknown;
  try {
    document =
      whyUnreadableYaml(text) !== undefined
        ? undefined
        : parse(text, { logLevel: 'error', stringKeys: true, ...optionsFor(text) });
  } catch {
    // User data holds passwords, and the message of the parser would quote them.
    throw new EdgeBundleError('CONFIG_INVALID', `${origin} holds no mapping rules: it is not YAML`);
  }
  const rules =
    userDataSchema.safeParse(document).data?.stylus.externalRegistries.registryMappingRules ??
    rulesSchema.safeParse(document).data;
  if (rules !== undefined) return Object.entries(rules).map(([from, to]) => mappingRule(from, to, origin));
  throw new EdgeBundleError('CONFIG_INVALID', `${origin} holds no mapping rules`, {
    hint: 'Expected stylus.externalRegistries.registryMappingRules, or an object with a line for each rule.',
  });
}

/** The name that the rule with the longest fitting prefix gives; the same one where none fits. */
export function mapRepository<T extends Pick<Reference, 'registry' | 'repository'>>(
  rules: readonly MappingRule[],
  reference: T,
): T {
  const name = `${reference.registry}/${reference.repository}`;
  const [rule] = rules
    .filter(({ from }) => name === from || name.startsWith(`${from}/`))
    .sort((one, other) => other.from.length - one.from.length);
  if (rule === undefined) return reference;
  const mapped = `${rule.to}${name.slice(rule.from.length)}`;
  const slash = mapped.indexOf('/');
  const [registry, repository] = [mapped.slice(0, Math.max(0, slash)), mapped.slice(slash + 1)];
  if (slash > 0 && isRepositoryName(repository)) return { ...reference, registry, repository };
  throw new EdgeBundleError(
    'CONFIG_INVALID',
    `the mapping rule '${rule.from}=${rule.to}' makes '${mapped}' of '${name}', which is not the name of an image`,
  );
}

function mappingRule(from: string, to: string, origin: string): MappingRule {
  return { from: parsePrefix(from, origin), to: parsePrefix(to, origin) };
}

function parsePrefix(text: string, origin: string): string {
  const [host = '', ...path] = trimEnd(text.trim(), '/').split('/');
  const isName = path.length === 0 || isRepositoryName(path.join('/'));
  const registry = isName ? normalRegistry(host) : undefined;
  if (registry !== undefined) return [registry, ...path].join('/');
  throw new EdgeBundleError(
    'CONFIG_INVALID',
    `${origin}: ${JSON.stringify(text)} is not the beginning of an image's name: expected HOST[:PORT][/PATH]`,
  );
}

function normalRegistry(host: string): string | undefined {
  try {
    return parseRegistry(host);
  } catch {
    return undefined;
  }
}
