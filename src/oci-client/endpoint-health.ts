import type { Endpoint, Route } from './endpoint.ts';

/** How long an endpoint that has failed is asked after the others. */
const restMs = 30_000;

/** Remembers which endpoints have just failed, so that not every request waits for a mirror that is down. */
export class EndpointHealth {
  /** Until when each rests, on the clock of performance.now(). */
  readonly #restsUntilMs = new Map<Endpoint, number>();

  failed(endpoint: Endpoint): void {
    this.#restsUntilMs.set(endpoint, performance.now() + restMs);
  }

  answered(endpoint: Endpoint): void {
    this.#restsUntilMs.delete(endpoint);
  }

  /** The routes, those last whose endpoint rests. */
  order(routes: readonly Route[]): readonly Route[] {
    const nowMs = performance.now();
    const rests = ({ endpoint }: Route): boolean => (this.#restsUntilMs.get(endpoint) ?? 0) > nowMs;
    return [...routes.filter((route) => !rests(route)), ...routes.filter(rests)];
  }
}
