import { pause } from './abortable.ts';

/** How much may come at once after a pause. */
const burstMs = 100;

/** A limit that everything together keeps to, in bytes a second. Whoever moves bytes waits afterwards. */
export class RateLimit {
  readonly #bytesPerMs: number;
  /** On the clock of performance.now(): up to when what has passed so far takes. */
  #paidMs = 0;

  constructor(bytesPerSecond: number) {
    this.#bytesPerMs = bytesPerSecond / 1000;
  }

  /** How long to wait after these bytes, in milliseconds: 0 where there is room for more. */
  take(bytes: number): number {
    const nowMs = performance.now();
    this.#paidMs = Math.max(this.#paidMs, nowMs - burstMs) + bytes / this.#bytesPerMs;
    return Math.max(0, this.#paidMs - nowMs);
  }

  /** @throws EdgeBundleError ABORTED */
  async pass(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    const waitMs = this.take(bytes);
    if (waitMs > 0) await pause(waitMs, signal);
  }
}
