import { readFile } from 'node:fs/promises';

import * as z from 'zod';

import { EdgeBundleError } from '../errors.ts';
import { fileError } from '../files/file-error.ts';
import { allCapabilities, type Capability, type Endpoint, type Route, type RouteSource } from './endpoint.ts';
import { isRepositoryName, parseRegistry } from './reference.ts';
import { parseToml } from './toml-document.ts';

/** One `[[registry]]` table: what its prefix stands for. */
export interface RegistryEntry {
  /** `docker.io`, `quay.io/team`, `*.example.com`. */
  readonly prefix: string;
  /** What takes the prefix's place. Undefined: the name stays. */
  readonly location: string | undefined;
  readonly isInsecure: boolean;
  readonly isBlocked: boolean;
  readonly mirrors: readonly MirrorEntry[];
}

export interface MirrorEntry {
  readonly location: string;
  readonly isInsecure: boolean;
  readonly capabilities: ReadonlySet<Capability>;
}

const mirrorSchema = z.object({
  location: z.string().min(1),
  insecure: z.boolean().optional(),
  'pull-from-mirror': z.enum(['all', 'digest-only', 'tag-only', '']).optional(),
});

const registrySchema = z.object({
  prefix: z.string().optional(),
  location: z.string().optional(),
  insecure: z.boolean().optional(),
  blocked: z.boolean().optional(),
  'mirror-by-digest-only': z.boolean().optional(),
  mirror: z.array(mirrorSchema).optional(),
});

const fileSchema = z.object({
  registry: z.array(registrySchema).optional(),
  registries: z.undefined({ error: 'this is the format before version 2: it has [[registry]] tables now' }).optional(),
});

/**
 * Reads a registries.conf of version 2 (containers-registries.conf(5)). Names without a registry are not its matter here,
 * so `unqualified-search-registries` and aliases are passed over.
 *
 * @param path for messages
 * @throws EdgeBundleError CONFIG_INVALID
 */
export function parseRegistriesConf(text: string, path: string): readonly RegistryEntry[] {
  const { registry = [] } = parseToml(text, fileSchema, path);
  const entries = registry.map((table) => registryEntry(table, path));
  const twice = entries.find(({ prefix }, at) => entries.findIndex((other) => other.prefix === prefix) !== at);
  if (twice !== undefined) throw malformed(path, `the prefix '${twice.prefix}' has two tables`);
  return entries;
}

/** The entry whose prefix is the longest that fits `name` (`quay.io/team/app`); of two, the one without a `*`. */
export function findEntry(entries: readonly RegistryEntry[], name: string): RegistryEntry | undefined {
  return entries
    .filter(({ prefix }) => matchedLength(prefix, name) > 0)
    .sort((one, other) => weight(other) - weight(one))[0];
}

function weight({ prefix }: RegistryEntry): number {
  return 2 * prefix.length - (prefix.startsWith('*') ? 1 : 0);
}

/** Mirrors and rewriting as Podman's and CRI-O's registries.conf has them: the mirrors in order, then the location itself. */
export class RegistriesConf implements RouteSource {
  readonly #path: string;
  readonly #endpoints = new Map<string, Endpoint>();
  #entries: Promise<readonly RegistryEntry[]> | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  async find(
    registry: string,
    repository: string,
    rootOf: (registry: string) => URL,
  ): Promise<readonly Route[] | undefined> {
    this.#entries ??= this.#load();
    const name = `${registry}/${repository}`;
    const entry = findEntry(await this.#entries, name);
    if (entry === undefined) return undefined;
    if (entry.isBlocked) {
      throw new EdgeBundleError('ACCESS_DENIED', `'${name}' may not be used: '${this.#path}' blocks '${entry.prefix}'`);
    }
    const rest = name.slice(matchedLength(entry.prefix, name));
    const { location, isInsecure } = entry;
    const itself = { location: location === undefined ? name : `${location}${rest}`, isInsecure, rootOf };
    return [
      ...entry.mirrors.flatMap((mirror) =>
        this.#routes({ ...mirror, location: `${mirror.location}${rest}`, rootOf }, mirror.capabilities),
      ),
      ...this.#routes(itself, allCapabilities),
    ];
  }

  async #load(): Promise<readonly RegistryEntry[]> {
    const text = await readFile(this.#path, 'utf8').catch((error: unknown) => {
      throw fileError(error, `cannot read the registries in '${this.#path}'`);
    });
    return parseRegistriesConf(text, this.#path);
  }

  /** One place; where it is insecure, with TLS that is not checked and then without TLS. */
  #routes(place: Place, capabilities: ReadonlySet<Capability>): readonly Route[] {
    const { location, isInsecure, rootOf } = place;
    const slash = location.indexOf('/');
    const [host, repository] = [location.slice(0, Math.max(0, slash)), location.slice(slash + 1)];
    if (!isRepositoryName(repository)) {
      throw malformed(this.#path, `it makes '${location}', which is not the name of an image`);
    }
    const registry = parseRegistry(host);
    const root = new URL('v2/', rootOf(registry));
    if (!isInsecure) return [{ endpoint: this.#endpoint(registry, root, false), repository, capabilities }];
    const schemes = root.protocol === 'http:' ? ['http:'] : ['https:', 'http:'];
    return schemes.map((scheme) => {
      const address = new URL(`${scheme}//${root.host}${root.pathname}`);
      return { endpoint: this.#endpoint(registry, address, true), repository, capabilities };
    });
  }

  #endpoint(registry: string, root: URL, isInsecure: boolean): Endpoint {
    const key = `${root.href} ${isInsecure ? 'insecure' : ''}`;
    const known = this.#endpoints.get(key);
    if (known !== undefined) return known;
    const endpoint = { registry, root, ...(isInsecure ? { peer: { origin: root.origin, insecure: true } } : {}) };
    this.#endpoints.set(key, endpoint);
    return endpoint;
  }
}

interface Place {
  readonly location: string;
  readonly isInsecure: boolean;
  readonly rootOf: (registry: string) => URL;
}

function registryEntry(table: z.infer<typeof registrySchema>, path: string): RegistryEntry {
  const location = table.location === undefined || table.location === '' ? undefined : placeOf(table.location, path);
  const prefix = table.prefix === undefined || table.prefix === '' ? location : prefixOf(table.prefix, path);
  if (prefix === undefined) throw malformed(path, 'a [[registry]] has neither a prefix nor a location');
  if (location === undefined && !prefix.startsWith('*.') && table.prefix === undefined) {
    throw malformed(path, `the location of '${prefix}' is missing`);
  }
  const byDigestOnly = table['mirror-by-digest-only'] ?? false;
  return {
    prefix,
    location,
    isInsecure: table.insecure ?? false,
    isBlocked: table.blocked ?? false,
    mirrors: (table.mirror ?? []).map((mirror) => {
      const pull = mirror['pull-from-mirror'] ?? '';
      if (byDigestOnly && pull !== '') {
        throw malformed(path, `'${prefix}' has mirror-by-digest-only, so its mirrors cannot have pull-from-mirror`);
      }
      return {
        location: placeOf(mirror.location, path),
        isInsecure: mirror.insecure ?? false,
        capabilities: mirrorCapabilities(byDigestOnly ? 'digest-only' : pull),
      };
    }),
  };
}

function mirrorCapabilities(pull: 'all' | 'digest-only' | 'tag-only' | ''): ReadonlySet<Capability> {
  if (pull === 'digest-only') return new Set(['pull']);
  // What a tag stands for comes from the mirror; its parts are then asked for by digest, there too.
  return new Set(['pull', 'resolve']);
}

/** How much of `name` is the prefix; 0 where it does not fit. A prefix ends where a part of the name does. */
function matchedLength(prefix: string, name: string): number {
  if (!prefix.startsWith('*.')) return name === prefix || name.startsWith(`${prefix}/`) ? prefix.length : 0;
  const host = name.slice(0, name.indexOf('/'));
  const bare = host.replace(/:[0-9]+$/, '');
  if (host.endsWith(prefix.slice(1))) return host.length;
  return bare.endsWith(prefix.slice(1)) ? bare.length : 0;
}

function prefixOf(text: string, path: string): string {
  if (!text.startsWith('*.')) return placeOf(text, path);
  if (/^\*(\.[a-z0-9-]+)+(:[0-9]+)?$/i.test(text)) return text.toLowerCase();
  throw malformed(path, `the prefix '${text}' is not a host: a '*' stands for the beginning of one, '*.example.com'`);
}

/** A registry, in normal form, and perhaps the first parts of a path. */
function placeOf(text: string, path: string): string {
  const [host = '', ...parts] = text.replace(/\/+$/, '').split('/');
  if (parts.length > 0 && !isRepositoryName(parts.join('/')))
    throw malformed(path, `'${text}' is not a place of images`);
  try {
    return [parseRegistry(host), ...parts].join('/');
  } catch (cause) {
    throw new EdgeBundleError('CONFIG_INVALID', `'${path}': '${text}' does not begin with a host`, { cause });
  }
}

function malformed(path: string, reason: string): EdgeBundleError {
  return new EdgeBundleError('CONFIG_INVALID', `'${path}': ${reason}`);
}
