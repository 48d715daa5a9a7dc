import * as z from 'zod';

import { hasFewNodes } from '../discovery/parse-manifest.ts';
import { registerSecret } from '../redaction.ts';
import { toExportForm } from './inputs/cluster-profile.ts';
import { combineProblems, formatPath, problem } from './problems.ts';

/** As long as this a profile would be that has as many members as any may have: some 49,000. */
const usualCharacters = 3000;

const noContent = 'the manifest has no content';

const manifestSchema = z.looseObject({
  name: z.string().min(1),
  /** Palette's API answer leaves it out; its export has it. */
  content: z.string({ error: noContent }).regex(/\S/, { error: noContent }),
});

const packSchema = z.looseObject({
  name: z.string().min(1),
  type: z.enum(['spectro', 'oci', 'helm', 'manifest']),
  layer: z.enum(['kernel', 'os', 'k8s', 'cni', 'csi', 'addon']),
  version: z.string().nullish(),
  tag: z.string().nullish(),
  /** YAML in a string. */
  values: z.string().nullish(),
  manifests: z.array(manifestSchema).nullish(),
});

/** A profile variable, `{{ .spectro.var.<name> }}` in values and manifests. */
const variableSchema = z.looseObject({
  name: z.string().min(1),
  displayName: z.string().nullish(),
  description: z.string().nullish(),
  defaultValue: z.string().nullish(),
  /** `string`, `number`, `boolean`, `ipv4`, `ipv4cidr`, `ipv6`, `version`, and what later versions of Palette add. */
  format: z.string().nullish(),
  /** A regular expression that the value matches. */
  regex: z.string().nullish(),
  required: z.boolean().nullish(),
  immutable: z.boolean().nullish(),
  hidden: z.boolean().nullish(),
  isSensitive: z.boolean().nullish(),
});

const profileDocumentSchema = z.looseObject({
  metadata: z.looseObject({
    name: z.string().min(1),
    description: z.string().nullish(),
    labels: z.record(z.string(), z.string()).nullish(),
  }),
  spec: z.looseObject({
    version: z.string().nullish(),
    template: z.looseObject({
      type: z.enum(['cluster', 'infra', 'add-on', 'system']),
      cloudType: z.string().nullish(),
      packs: z.array(packSchema),
    }),
    variables: z.array(variableSchema).nullish(),
  }),
});

/** A cluster profile as Palette exports and imports it. Members that are not named here are allowed and ignored. */
export type ProfileDocument = z.infer<typeof profileDocumentSchema>;
export type ProfilePack = z.infer<typeof packSchema>;

/** The JSON Schema (draft 2020-12) of a profile document; `manifests/profile.schema.json` is this. */
export function profileJsonSchema(): object {
  return z.toJSONSchema(profileDocumentSchema, { io: 'input' });
}

/**
 * Checks the shape of a document that was read, in any form that `toExportForm` knows. `where` names it in the errors.
 * The values of sensitive variables are not printed from then on.
 *
 * @throws EdgeBundleError PROFILE_INVALID with path and reason, all problems together
 */
export function parseProfileDocument(value: unknown, where: string): ProfileDocument {
  const { value: exported, templatePath } = toExportForm(value);
  // Each of its members that is wrong makes a report; all of them together have to be few.
  if (!hasFewNodes(exported, usualCharacters)) throw problem(where, 'has too many members for a profile');
  const result = profileDocumentSchema.safeParse(exported);
  if (result.success) {
    for (const { isSensitive, defaultValue } of result.data.spec.variables ?? []) {
      if (isSensitive === true) registerSecret(defaultValue ?? '');
    }
    return result.data;
  }
  const problems = result.error.issues.map(({ path, message }) => {
    const place = [where, ...namedPlaces(exported, path)].join(', ');
    const hint = message === noContent ? contentHint : profileHint;
    return problem(path.length === 0 ? place : `${place}, ${formatPath(asWritten(path, templatePath))}`, message, {
      hint,
    });
  });
  throw combineProblems(where, problems);
}

const profileHint =
  'A profile is what Palette exports: Export in its console, or GET /v1/clusterprofiles/{uid}/export.';
const contentHint =
  "Only Palette's export holds every manifest's content: take GET /v1/clusterprofiles/{uid}/export, or let edge-bundle fetch it with --palette-endpoint and --palette-profile. By hand, each one is spec.published.content of GET /v1/clusterprofiles/{uid}/packs/{packName}/manifests/{manifestUid}.";

/** The place in the document that was read, of a place in its export form. */
function asWritten(path: readonly PropertyKey[], templatePath: readonly string[]): readonly PropertyKey[] {
  return path[0] === 'spec' && path[1] === 'template' ? [...templatePath, ...path.slice(2)] : path;
}

/** `pack 'a', manifest 'b'` for the objects on the way to `path` that have a name. */
function namedPlaces(value: unknown, path: readonly PropertyKey[]): string[] {
  const kinds: Readonly<Record<PropertyKey, string>> = { packs: 'pack', manifests: 'manifest' };
  const places: string[] = [];
  let current = value;
  for (const [index, key] of path.entries()) {
    if (typeof current !== 'object' || current === null) break;
    current = Reflect.get(current, key);
    const kind = typeof key === 'number' ? kinds[path[index - 1] ?? ''] : undefined;
    if (kind === undefined || typeof current !== 'object' || current === null) continue;
    if ('name' in current && typeof current.name === 'string') places.push(`${kind} '${current.name}'`);
  }
  return places;
}
