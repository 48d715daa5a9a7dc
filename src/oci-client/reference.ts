import { isIPv6 } from 'node:net';

import { type Digest, isDigest } from '../content/digest.ts';
import { EdgeBundleError } from '../errors.ts';

/** A name of content in a registry, in normal form: `registry` is lower-case, Docker Hub is `docker.io`. */
export interface Reference {
  /** Host, and port where one is given: `docker.io`, `localhost:5000`, `[::1]:5000`. */
  readonly registry: string;
  readonly repository: string;
  readonly tag?: string | undefined;
  readonly digest?: Digest | undefined;
}

export const dockerHub = 'docker.io';

const dockerHubAliases: ReadonlySet<string> = new Set(['index.docker.io', 'registry-1.docker.io']);
const maxRepositoryLength = 255;

// OCI distribution-spec v1.1, "Pulling manifests": <name> and <reference> as a tag.
const repositoryPattern = /^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$/;
const tagPattern = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
const hostPattern = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;

/**
 * Reads `nginx`, `ghcr.io/org/app:1.2`, `[::1]:5000/app@sha256:…` or `app:1.2@sha256:…` by Docker's rules: the part
 * before the first slash is a registry where it has a dot or a colon or is `localhost`; all else is on Docker Hub,
 * in `library/` where it is a single word. Without tag and digest the tag is `latest`.
 *
 * @throws EdgeBundleError REFERENCE_INVALID
 */
export function parseReference(text: string): Reference {
  const fail = failure(text);
  if (text.includes('://')) throw fail('it starts with a scheme', "Leave out the part up to '://'.");
  const at = text.indexOf('@');
  const digest = at === -1 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !isDigest(digest)) {
    throw fail("after '@' a digest is expected: sha256:<64 hex digits> or sha512:<128 hex digits>");
  }
  const named = at === -1 ? text : text.slice(0, at);
  const colon = named.lastIndexOf(':');
  const hasTag = colon > named.lastIndexOf('/');
  const tag = hasTag ? named.slice(colon + 1) : undefined;
  if (tag !== undefined && !isTag(tag)) {
    throw fail("after ':' a tag is expected: letters, digits, '_', '.' and '-', at most 128");
  }
  const { registry, repository } = splitName(hasTag ? named.slice(0, colon) : named, fail);
  if (digest !== undefined) return { registry, repository, tag, digest };
  return { registry, repository, tag: tag ?? 'latest', digest: undefined };
}

/** The normal form: `docker.io/library/nginx:1.27`, with `@digest` where there is one. */
export function formatReference(reference: Reference): string {
  const { registry, repository, tag, digest } = reference;
  return `${registry}/${repository}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

/**
 * A registry's host, and port where one is given, in normal form.
 *
 * @throws EdgeBundleError REFERENCE_INVALID
 */
export function parseRegistry(text: string): string {
  const registry = normalRegistry(text);
  if (registry !== undefined) return registry;
  throw new EdgeBundleError('REFERENCE_INVALID', `${quote(text)} is not a registry: expected HOST or HOST:PORT`, {
    hint: "A registry is named without a scheme and a path, such as 'harbor.example:30003'.",
  });
}

/** Whether `text` is a tag: OCI distribution-spec v1.1, "Pulling manifests". */
export function isTag(text: string): boolean {
  return tagPattern.test(text);
}

/** Whether `text` is the name of a repository, without the registry: OCI distribution-spec v1.1, "Pulling manifests". */
export function isRepositoryName(text: string): boolean {
  return text.length <= maxRepositoryLength && repositoryPattern.test(text);
}

type Fail = (reason: string, hint?: string) => EdgeBundleError;

function failure(text: string): Fail {
  return (reason, hint) =>
    new EdgeBundleError(
      'REFERENCE_INVALID',
      `${quote(text)} is not an image reference: ${reason}`,
      hint === undefined ? {} : { hint },
    );
}

function splitName(name: string, fail: Fail): Pick<Reference, 'registry' | 'repository'> {
  const slash = name.indexOf('/');
  const first = name.slice(0, Math.max(slash, 0));
  const hasRegistry = /[.:]/.test(first) || first.toLowerCase() === 'localhost';
  const registry = hasRegistry ? normalRegistry(first) : dockerHub;
  if (registry === undefined) throw fail(`${quote(first)} is not a registry: expected HOST or HOST:PORT`);
  const path = hasRegistry ? name.slice(slash + 1) : name;
  ensureRepository(path, fail);
  const repository = registry === dockerHub && !path.includes('/') ? `library/${path}` : path;
  if (repository.length > maxRepositoryLength) throw tooLong(repository, fail);
  return { registry, repository };
}

function ensureRepository(path: string, fail: Fail): void {
  if (path === '') throw fail('the name of the repository is missing');
  if (path.length > maxRepositoryLength) throw tooLong(path, fail);
  if (repositoryPattern.test(path)) return;
  if (repositoryPattern.test(path.toLowerCase())) {
    throw fail(
      `the repository ${quote(path)} has upper-case letters`,
      `Names of repositories are lower-case: write '${path.toLowerCase()}'.`,
    );
  }
  throw fail(
    `${quote(path)} is not the name of a repository`,
    "Words of lower-case letters and digits, joined by '.', '_', '__' or '-', with '/' between the parts.",
  );
}

function tooLong(repository: string, fail: Fail): EdgeBundleError {
  return fail(
    `the name of the repository has ${repository.length} characters; at most ${maxRepositoryLength} are allowed`,
  );
}

function normalRegistry(text: string): string | undefined {
  const { host, port } = /^(?<host>\[[^\]]*\]|[^:]*)(:(?<port>[0-9]{1,5}))?$/.exec(text.toLowerCase())?.groups ?? {};
  if (host === undefined || (port !== undefined && (Number(port) < 1 || Number(port) > 65_535))) return undefined;
  const valid = host.startsWith('[') ? isIPv6(host.slice(1, -1)) && !host.includes('%') : hostPattern.test(host);
  if (!valid || host.length > 253) return undefined;
  if (port !== undefined) return `${host}:${Number(port)}`;
  return dockerHubAliases.has(host) ? dockerHub : host;
}

function quote(text: string): string {
  return JSON.stringify(text.length > 160 ? `${text.slice(0, 160)}…` : text);
}
