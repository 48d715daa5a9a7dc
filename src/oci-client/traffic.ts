import { setMaxListeners } from 'node:events';

import { EdgeBundleError } from '../errors.ts';
import { ExtraConnections } from './extra-connections.ts';
import { type HostLimitOptions, HostLimits } from './host-limits.ts';
import { RateLimit } from './rate-limit.ts';
import { type RetryOptions, RetryPolicy } from './retry-policy.ts';

export interface TrafficOptions extends RetryOptions, HostLimitOptions {
  /** What all content together, in both directions, keeps to; in bytes a second. Default: no limit. */
  readonly maxBytesPerSecond?: number | undefined;
  /** Larger blobs may be fetched over several connections, in bytes. Default: 32 MiB. Infinity: none. */
  readonly parallelOverBytes?: number | undefined;
}

/** What all requests of one client have in common: when to try again, how many at once, how fast. */
export class Traffic {
  readonly retries: RetryPolicy;
  readonly hosts: HostLimits;
  readonly extraConnections = new ExtraConnections();
  readonly rate: RateLimit | undefined;
  readonly parallelOverBytes: number;
  readonly #closed = new AbortController();

  constructor(options: TrafficOptions) {
    // Each wait listens.
    setMaxListeners(0, this.#closed.signal);
    const { maxBytesPerSecond, parallelOverBytes = 32 * 1024 * 1024 } = options;
    this.retries = new RetryPolicy(options, this.#closed.signal);
    this.hosts = new HostLimits(options, this.#closed.signal);
    this.rate = maxBytesPerSecond === undefined ? undefined : new RateLimit(maxBytesPerSecond);
    this.parallelOverBytes = parallelOverBytes;
  }

  /** Ends all waits. */
  close(): void {
    this.#closed.abort(new EdgeBundleError('ABORTED', 'the registry client was closed'));
  }
}
