import { type Digest, isDigest } from '../content/digest.ts';
import { isRepositoryName, isTag, type Reference } from '../oci-client/reference.ts';

/**
 * A registry as a component of a repository's name: `docker.io`, `localhost-5000`. A port's colon, and the brackets of
 * an IPv6 address, are no characters of such names.
 */
export function registryComponent(registry: string): string {
  return registry.replaceAll(/[^a-z0-9.-]+/g, '-').replaceAll(/^-+|-+$/g, '');
}

/** The repository that serves what `reference` names: `docker.io/library/nginx`. */
export function servedRepository(reference: Reference): string {
  return `${registryComponent(reference.registry)}/${reference.repository}`;
}

/** Where an entry of a layout's `index.json` is served. */
export interface LayoutName {
  readonly repository: string;
  readonly tag: string | undefined;
  /** Whether the repository stands in the entry as it is served; otherwise its registry had to be rewritten. */
  readonly isExact: boolean;
}

/**
 * Reads an entry's `org.opencontainers.image.ref.name` (OCI image-spec v1.1, annotations.md). What names no repository,
 * such as the plain tag that other tools write, is served in `fallbackRepository`.
 */
export function parseLayoutName(text: string | undefined, fallbackRepository: string): LayoutName {
  const fallback = (tag?: string): LayoutName => ({ repository: fallbackRepository, tag, isExact: true });
  if (text === undefined) return fallback();
  const at = text.indexOf('@');
  const named = at === -1 ? text : text.slice(0, at);
  const colon = named.lastIndexOf(':');
  const hasTag = colon > named.lastIndexOf('/');
  const isNamed = hasTag || at !== -1 || named.includes('/');
  if (!isNamed) return fallback(isTag(text) ? text : undefined);
  const repository = hasTag ? named.slice(0, colon) : named;
  const tag = hasTag ? named.slice(colon + 1) : at === -1 ? 'latest' : undefined;
  if (tag !== undefined && !isTag(tag)) return fallback();
  if (isRepositoryName(repository)) return { repository, tag, isExact: true };
  const slash = repository.indexOf('/');
  const rewritten = `${registryComponent(repository.slice(0, slash).toLowerCase())}${repository.slice(slash)}`;
  return slash > 0 && isRepositoryName(rewritten) ? { repository: rewritten, tag, isExact: false } : fallback();
}

/** The entry's name for a manifest that a client has put into `repository` under a tag or by its digest. */
export function layoutName(repository: string, reference: string): string {
  return isDigest(reference) ? `${repository}@${reference satisfies Digest}` : `${repository}:${reference}`;
}
