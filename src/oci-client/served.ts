import type { NamedRoute } from './endpoint.ts';
import type { HttpResponse } from './http-response.ts';

/** What one host has served. */
export interface ServedByHost {
  /** Answers that were of use. */
  readonly requests: number;
  /** Of their bodies; in bytes. */
  readonly bytes: number;
  /** How often another host was asked because this one had failed. That it does not have something is no failure. */
  readonly failures: number;
  /** Of which repositories it has served something, each once, by the names that references have. */
  readonly repositories: readonly string[];
}

interface Counted {
  requests: number;
  bytes: number;
  failures: number;
  readonly repositories: Set<string>;
}

/** Counts which host served what. A redirect's target counts for the host that redirects. */
export class ServedCounter {
  readonly #hosts = new Map<string, Counted>();

  /** Counts `response`, and its body while it is read. */
  count(route: NamedRoute, response: HttpResponse): void {
    const host = this.#countedOf(route);
    host.requests += 1;
    host.repositories.add(route.name);
    // Paused, a listener does not make the body flow.
    response.body.pause().on('data', (chunk: Buffer) => {
      host.bytes += chunk.byteLength;
    });
  }

  failed(route: NamedRoute): void {
    this.#countedOf(route).failures += 1;
  }

  /** By host, and port where one is given; in the order in which they were used first. */
  get hosts(): ReadonlyMap<string, ServedByHost> {
    return new Map(
      [...this.#hosts].map(([host, { repositories, ...counts }]) => [
        host,
        { ...counts, repositories: [...repositories] },
      ]),
    );
  }

  #countedOf({ endpoint: { registry } }: NamedRoute): Counted {
    const known = this.#hosts.get(registry) ?? { requests: 0, bytes: 0, failures: 0, repositories: new Set<string>() };
    this.#hosts.set(registry, known);
    return known;
  }
}
