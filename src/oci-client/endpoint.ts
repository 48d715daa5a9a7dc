import type { Peer } from './dispatchers.ts';

/**
 * What a host may be asked for: content by digest, what a tag stands for, and writing (as containerd's hosts.toml has
 * it).
 */
export type Capability = 'pull' | 'resolve' | 'push';

/** A host that has content of a registry: the registry itself, or a mirror. The same object for all its requests. */
export interface Endpoint {
  /** Its host, and port where one is given, in normal form: whose login is used, and what it is called in reports. */
  readonly registry: string;
  /** Below it are the repositories: `https://ghcr.io/v2/`. */
  readonly root: URL;
  /** What is different in speaking to it. */
  readonly peer?: Peer | undefined;
}

/** One way to the content of a repository. */
export interface Route {
  readonly endpoint: Endpoint;
  /** What the repository is called there. */
  readonly repository: string;
  readonly capabilities: ReadonlySet<Capability>;
  /** The registry that a mirror answers for, where it must be told: the parameter `ns` that containerd sends. */
  readonly namespace?: string | undefined;
}

/** A route to the content of a repository that references call `name`: `docker.io/library/nginx`. */
export interface NamedRoute extends Route {
  readonly name: string;
}

/** Knows where the content of some repositories is found. */
export interface RouteSource {
  /**
   * The ways to `repository` of `registry` (in normal form), the first one first; undefined where this source has nothing
   * to say about it.
   *
   * @param rootOf the root of a registry's URLs where nothing else is said: `https://ghcr.io/`
   * @throws EdgeBundleError CONFIG_INVALID, FILE_FAILED; ACCESS_DENIED where it may not be used
   */
  find(registry: string, repository: string, rootOf: (registry: string) => URL): Promise<readonly Route[] | undefined>;
}

export const allCapabilities: ReadonlySet<Capability> = new Set(['pull', 'resolve', 'push']);

/** The address of `path` (`blobs/sha256:…`) on a route. */
export function urlOn({ endpoint, repository, namespace }: Route, path: string): URL {
  const url = new URL(`${repository}/${path}`, endpoint.root);
  if (namespace !== undefined) url.searchParams.append('ns', namespace);
  return url;
}

/** What a token calls a repository of an endpoint: with the path that the endpoint's own address has after `/v2/`. */
export function scopeNameOn(endpoint: Endpoint, repository: string): string {
  return `${endpoint.root.pathname.replace(/^\/v2\//, '').replace(/^\/+/, '')}${repository}`;
}

/** Where an endpoint says how to log in: `/v2/`, also where its repositories are further below. */
export function probeUrl({ root }: Endpoint): URL {
  return root.pathname.startsWith('/v2/') ? new URL('/v2/', root) : root;
}
