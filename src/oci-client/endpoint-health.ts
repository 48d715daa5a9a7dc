import type { Endpoint, Route } from './endpoint.ts';

/** How long an endpoint that has failed is asked after the others. */
const restMs = 30_000;

/** Remembers which endpoints have just failed, so that not every request waits for a mirror that is down. */
export class EndpointHealth {
  /** Until when each rests, on the clock of performance.now(). */
  readonly #restsUntilMs = new Map<Endpoint, number>();

  /** @returns whether it had not failed just before: that is news */
  failed(endpoint: Endpoint): boolean {
    const isNews = !this.#rests(endpoint);
    this.#restsUntilMs.set(endpoint, performance.now() + restMs);
    return isNews;
  }

  answered(endpoint: Endpoint): void {
    this.#restsUntilMs.delete(endpoint);
  }

  /** The routes, those last whose endpoint rests. */
  order<T extends Route>(routes: readonly T[]): readonly T[] {
    const rests = ({ endpoint }: T): boolean => this.#rests(endpoint);
    return [...routes.filter((route) => !rests(route)), ...routes.filter(rests)];
  }

  #rests(endpoint: Endpoint): boolean {
    return (this.#restsUntilMs.get(endpoint) ?? 0) > performance.now();
  }
}
