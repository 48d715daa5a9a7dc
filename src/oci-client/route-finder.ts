import { allCapabilities, type Endpoint, type NamedRoute, type Route, type RouteSource } from './endpoint.ts';
import { mapRepository, type MappingRule } from './mapping-rules.ts';

export interface RouteOptions {
  /** Prefixes of images' names that stand for others: see `MappingRule`. */
  readonly mapping?: readonly MappingRule[] | undefined;
  /** Who knows mirrors, after the mapping; the first that knows something about a repository wins. */
  readonly mirrors?: readonly RouteSource[] | undefined;
}

/** Finds out where the content of a repository is asked for. */
export class RouteFinder {
  readonly #options: RouteOptions;
  readonly #rootOf: (registry: string) => URL;
  readonly #upstreams = new Map<string, Endpoint>();
  readonly #routes = new Map<string, Promise<readonly NamedRoute[]>>();

  /** @param rootOf the root of a registry's URLs: `https://ghcr.io/` */
  constructor(options: RouteOptions, rootOf: (registry: string) => URL) {
    this.#options = options;
    this.#rootOf = rootOf;
  }

  /** The registry itself. */
  upstream(registry: string): Endpoint {
    const known = this.#upstreams.get(registry);
    if (known !== undefined) return known;
    const endpoint = { registry, root: new URL('v2/', this.#rootOf(registry)) };
    this.#upstreams.set(registry, endpoint);
    return endpoint;
  }

  /**
   * The ways to a repository, in the order in which they are tried; at least one.
   *
   * @throws EdgeBundleError those of the sources
   */
  find(registry: string, repository: string): Promise<readonly NamedRoute[]> {
    const name = `${registry}/${repository}`;
    const known = this.#routes.get(name);
    if (known !== undefined) return known;
    const found = this.#find(registry, repository).then((routes) => routes.map((route) => ({ ...route, name })));
    this.#routes.set(name, found);
    found.catch(() => this.#routes.delete(name));
    return found;
  }

  async #find(registry: string, repository: string): Promise<readonly Route[]> {
    const { mapping = [], mirrors = [] } = this.#options;
    const mapped = mapRepository(mapping, { registry, repository });
    for (const source of mirrors) {
      const routes = await source.find(mapped.registry, mapped.repository, this.#rootOf);
      if (routes !== undefined) return routes;
    }
    const endpoint = this.upstream(mapped.registry);
    return [{ endpoint, repository: mapped.repository, capabilities: allCapabilities }];
  }
}
