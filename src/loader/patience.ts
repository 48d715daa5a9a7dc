import { type EdgeBundleError, type ErrorCode, isEdgeBundleError, throwIfAborted } from '../errors.ts';
import { answeredStatus } from '../oci-client/registry-error.ts';
import type { Attempts, FailedAttempt, RetryPolicy } from '../oci-client/retry-policy.ts';
import { transientFailure } from '../oci-client/retry-policy.ts';
import type { WaitOptions } from '../oci-client/wait-for.ts';
import { understood } from './refusal.ts';

export interface PatienceOptions {
  readonly retries: RetryPolicy;
  /** For how long a registry that takes nothing is waited for, each time. Undefined: not at all. Infinity: for ever. */
  readonly waitMs: number | undefined;
  /** Returns when the registry takes content. */
  readonly untilReady: (options: WaitOptions) => Promise<void>;
  readonly onWait?: WaitOptions['onEvent'];
  readonly signal?: AbortSignal | undefined;
}

export interface AttemptOptions {
  /**
   * What is sent can be sent only once by the client itself: this is who tries again. Default: false, since the client tries
   * other requests again.
   */
  readonly isStream?: boolean | undefined;
}

/** Is over when the registry is ready again. */
const waitedFor: readonly ErrorCode[] = ['REGISTRY_UNAVAILABLE', 'READ_ONLY', 'TIMEOUT', 'TRANSFER_INCOMPLETE'];

/** What a step of a load does about failures that pass: tries again a few times, and waits where it may, one wait for all steps. */
export class Patience {
  readonly #options: PatienceOptions;
  #wait: Promise<void> | undefined;

  constructor(options: PatienceOptions) {
    this.#options = options;
  }

  /**
   * Runs `step` until it succeeds, or fails for good. It gets the attempts that its requests are to be counted among.
   *
   * @throws EdgeBundleError what `step` fails with, by its true meaning
   */
  async attempt<T>(step: (attempts: Attempts) => Promise<T>, options: AttemptOptions = {}): Promise<T> {
    const { retries, waitMs, signal } = this.#options;
    const attempts = retries.begin();
    // What the step itself takes is no wait: an upload may take hours before it fails. Silence is one.
    let waitedMs = 0;
    let failedMs = performance.now();
    for (;;) {
      const beganMs = performance.now();
      waitedMs += beganMs - failedMs;
      try {
        return await step(attempts);
      } catch (cause) {
        throwIfAborted(signal);
        if (!isEdgeBundleError(cause)) throw cause;
        const error = understood(cause);
        failedMs = performance.now();
        if (error.code === 'TIMEOUT') waitedMs += failedMs - beganMs;
        const passing = passingFailure(error, options);
        if (passing !== undefined && (await attempts.next(passing, signal))) continue;
        if (waitMs === undefined || waitedMs > waitMs) throw error;
        if (waitedFor.includes(error.code)) await this.#untilReady();
        else if (error.code !== 'GARBAGE_COLLECTION') throw error;
        attempts.progressed();
        if (!(await attempts.next({ message: error.message }, signal))) throw error;
      }
    }
  }

  async #untilReady(): Promise<void> {
    const { waitMs, untilReady, onWait: onEvent, signal } = this.#options;
    this.#wait ??= untilReady({ limitMs: waitMs, onEvent, signal }).finally(() => (this.#wait = undefined));
    await this.#wait;
  }
}

/** What may go well at once or a moment later, and which the client has not tried again itself. */
function passingFailure(error: EdgeBundleError, { isStream = false }: AttemptOptions): FailedAttempt | undefined {
  const { code, message } = error;
  if (code === 'GARBAGE_COLLECTION') return { message };
  if (code === 'READ_ONLY') return undefined;
  const status = answeredStatus(error);
  // 500 is also what Harbor makes of two that change a project's quota at once. 409: somebody else has just done the same.
  if (status === 500 || status === 409) return { message };
  if (!isStream) return undefined;
  // The registry has forgotten the upload.
  if (status === 404 || status === 416) return { message, maxRetries: 2 };
  return transientFailure(error);
}
