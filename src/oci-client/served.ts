import type { Endpoint } from './endpoint.ts';
import type { HttpResponse } from './http-response.ts';

/** What one host has served. */
export interface ServedByHost {
  /** Answers that were of use. */
  readonly requests: number;
  /** Of their bodies; in bytes. */
  readonly bytes: number;
}

/** Counts which host served what. A redirect's target counts for the host that redirects. */
export class ServedCounter {
  readonly #hosts = new Map<string, { requests: number; bytes: number }>();

  /** Counts `response`, and its body while it is read. */
  count({ registry }: Endpoint, response: HttpResponse): void {
    const host = this.#hosts.get(registry) ?? { requests: 0, bytes: 0 };
    this.#hosts.set(registry, host);
    host.requests += 1;
    // Paused, a listener does not make the body flow.
    response.body.pause().on('data', (chunk: Buffer) => {
      host.bytes += chunk.byteLength;
    });
  }

  /** By host, and port where one is given; in the order in which they were used first. */
  get hosts(): ReadonlyMap<string, ServedByHost> {
    return new Map([...this.#hosts].map(([host, served]) => [host, { ...served }]));
  }
}
