import { isEdgeBundleError, systemErrorCode } from '../errors.ts';
import { pause } from './abortable.ts';

/** Something failed that may go well the next time. */
export interface RetryEvent {
  /** What failed, on what, and how. */
  readonly message: string;
  /** After how long it is tried again; 0 where it goes on at once. */
  readonly delayMs: number;
}

export interface RetryOptions {
  /**
   * How often in a row something is tried again while nothing comes; each byte of a body that comes begins the count
   * anew. Default: 5, or as often as `giveUpAfterMs` allows where that is given.
   */
  readonly retries?: number | undefined;
  /** The longest wait before the first retry; it doubles with each. The wait is random, between 0 and that. Default: 500. */
  readonly retryBaseMs?: number | undefined;
  /** What the longest wait does not grow over. Default: 30,000. */
  readonly retryMaxMs?: number | undefined;
  /** For how long something is tried again while nothing comes. Default: no limit but `retries`. */
  readonly giveUpAfterMs?: number | undefined;
  /** Is called before each wait: it returns soon and does not throw. */
  readonly onRetry?: ((event: RetryEvent) => void) | undefined;
}

/** What went wrong with one attempt. */
export interface FailedAttempt {
  readonly message: string;
  /** What the server asks for. */
  readonly retryAfterMs?: number | undefined;
  /** How often in a row this is tried again at most, whatever the options allow. */
  readonly maxRetries?: number | undefined;
}

/** When to try again: exponential back-off with full jitter. */
export class RetryPolicy {
  readonly #options: RetryOptions;
  readonly #closed: AbortSignal;

  /** @param closed ends all waits */
  constructor(options: RetryOptions, closed: AbortSignal) {
    this.#options = options;
    this.#closed = closed;
  }

  /** For one operation, all its attempts. */
  begin(): Attempts {
    return new Attempts(this.#options, this.#closed);
  }

  /** For what has another way to go on: nothing is tried again. */
  beginOnly(): Attempts {
    return new Attempts({ retries: 0 }, this.#closed);
  }

  /** Says that something goes on in another way than it should. */
  tell(message: string): void {
    this.#options.onRetry?.({ message, delayMs: 0 });
  }
}

/** The attempts of one operation since something came of it. */
export class Attempts {
  readonly #options: RetryOptions;
  readonly #closed: AbortSignal;
  #failed = 0;
  #firstFailureMs = 0;

  constructor(options: RetryOptions, closed: AbortSignal) {
    this.#options = options;
    this.#closed = closed;
  }

  /** Something came: what failed before does not count any more. */
  progressed(): void {
    this.#failed = 0;
  }

  /**
   * Waits until the next attempt; false, at once, where there is to be none.
   *
   * @throws EdgeBundleError ABORTED
   */
  async next(failed: FailedAttempt, signal: AbortSignal | undefined): Promise<boolean> {
    const delayMs = this.begin(failed);
    if (delayMs === undefined) return false;
    await this.wait(delayMs, signal);
    return true;
  }

  /** Begins the next attempt, and tells how long to wait first; undefined where there is to be none. */
  begin(failed: FailedAttempt): number | undefined {
    const { retries, retryBaseMs = 500, retryMaxMs = 30_000, giveUpAfterMs, onRetry } = this.#options;
    const nowMs = performance.now();
    if (this.#failed === 0) this.#firstFailureMs = nowMs;
    const most = retries ?? (giveUpAfterMs === undefined ? Math.min(5, failed.maxRetries ?? 5) : Infinity);
    if (this.#failed >= most) return undefined;
    const backOffMs = Math.random() * Math.min(retryMaxMs, retryBaseMs * 2 ** this.#failed);
    // Those who wait for the same moment do not all come at once.
    const delayMs = failed.retryAfterMs === undefined ? backOffMs : failed.retryAfterMs + Math.random() * retryBaseMs;
    if (nowMs + delayMs - this.#firstFailureMs > (giveUpAfterMs ?? Infinity)) return undefined;
    this.#failed += 1;
    onRetry?.({ message: failed.message, delayMs });
    return delayMs;
  }

  /** @throws EdgeBundleError ABORTED */
  async wait(delayMs: number, signal: AbortSignal | undefined): Promise<void> {
    await pause(delayMs, signal, this.#closed);
  }
}

/** A host that refuses connections is more often a wrong name or port than one that is about to come back. */
const maxRefusals = 2;

/** What a failed connection or transfer means for the next attempt; undefined where that would fail in the same way. */
export function transientFailure(error: unknown): FailedAttempt | undefined {
  if (!isEdgeBundleError(error, 'TIMEOUT', 'REGISTRY_UNAVAILABLE', 'TRANSFER_INCOMPLETE')) return undefined;
  const { message } = error;
  const code = systemErrorCode(error.cause);
  if (code === 'ENOTFOUND') return undefined;
  return code === 'ECONNREFUSED' ? { message, maxRetries: maxRefusals } : { message };
}
