import { abortedError } from '../errors.ts';
import { pause } from './abortable.ts';

export interface HostLimitOptions {
  /** How many requests a host is sent at once, and how many bodies it sends. Default: no limit. */
  readonly maxConnectionsPerHost?: number | undefined;
}

/**
 * What a request takes up: its host until the answer begins, or also while content comes, for as long as its reader takes.
 * They are counted apart, so that what a reader asks for in between never waits for the reader. A body that goes out as a
 * stream may come from the same host, and is not counted.
 */
export type HostUse = 'answer' | 'content' | 'none';

/** How many requests each host is sent at once: fewer after it has said that there are too many, and slowly more again. */
export class HostLimits {
  readonly #most: number;
  readonly #closed: AbortSignal;
  readonly #hosts = new Map<string, HostLimit>();

  /** @param closed ends all waits */
  constructor({ maxConnectionsPerHost = Infinity }: HostLimitOptions, closed: AbortSignal) {
    this.#most = maxConnectionsPerHost;
    this.#closed = closed;
  }

  of(host: string): HostLimit {
    const known = this.#hosts.get(host);
    if (known !== undefined) return known;
    const limit = new HostLimit(this.#most, this.#closed);
    this.#hosts.set(host, limit);
    return limit;
  }
}

export class HostLimit {
  readonly #most: number;
  readonly #closed: AbortSignal;
  #limit: number;
  /** On the clock of performance.now(). */
  #closedUntilMs = 0;
  #loweredMs = -Infinity;
  readonly #slots = { answer: new Slots(), content: new Slots() } as const;

  constructor(most: number, closed: AbortSignal) {
    this.#most = most;
    this.#closed = closed;
    this.#limit = most;
  }

  /**
   * Waits for the host's turn, and until it may be asked again where it said so.
   *
   * @returns what gives the turn back, however often it is called
   * @throws EdgeBundleError ABORTED
   */
  async enter(use: HostUse, signal: AbortSignal | undefined): Promise<() => void> {
    const slots = use === 'none' ? undefined : this.#slots[use];
    await slots?.take(this.#limit, signal);
    try {
      for (;;) {
        const waitMs = this.#closedUntilMs - performance.now();
        if (waitMs <= 0) break;
        await pause(waitMs, signal, this.#closed);
      }
    } catch (error) {
      slots?.giveBack(this.#limit);
      throw error;
    }
    let isOver = false;
    return () => {
      if (!isOver) slots?.giveBack(this.#limit);
      isOver = true;
    };
  }

  /** Whether one more content could come at once, without anybody waiting for it. */
  get hasRoom(): boolean {
    return this.#closedUntilMs <= performance.now() && this.#slots.content.count < Math.floor(this.#limit);
  }

  /**
   * The host said that there is too much: half of what is under way, and nothing for as long as it said.
   *
   * @param sentMs when it was asked, on the clock of performance.now()
   */
  throttled(sentMs: number, retryAfterMs = 0): void {
    const nowMs = performance.now();
    this.#closedUntilMs = Math.max(this.#closedUntilMs, nowMs + retryAfterMs);
    // What was sent together is refused together: that is one sign, not many.
    if (sentMs < this.#loweredMs) return;
    this.#loweredMs = nowMs;
    const underway = Math.max(this.#slots.answer.count, this.#slots.content.count);
    this.#limit = Math.max(1, Math.floor(Math.min(this.#limit, underway) / 2));
  }

  /** One more for each round of good answers. */
  succeeded(): void {
    if (this.#limit < this.#most) this.#limit = Math.min(this.#most, this.#limit + 1 / this.#limit);
  }
}

/** Places, and who waits for one, in order. */
class Slots {
  count = 0;
  readonly #waiting = new Set<() => void>();

  take(limit: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.count < Math.floor(limit)) {
      this.count += 1;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting.delete(onTurn);
        if (signal !== undefined) reject(abortedError(signal));
      };
      const onTurn = (): void => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      };
      this.#waiting.add(onTurn);
      signal?.addEventListener('abort', onAbort, { once: true });
      if (signal?.aborted === true) onAbort();
    });
  }

  giveBack(limit: number): void {
    this.count -= 1;
    for (const next of this.#waiting) {
      if (this.count >= Math.floor(limit)) break;
      this.#waiting.delete(next);
      this.count += 1;
      next();
    }
  }
}
