import { combineFailures, type EdgeBundleError, type ErrorCode, isEdgeBundleError } from '../errors.ts';

/** After one of these, going on with the rest would fail in the same way, or wait for nothing. */
const fatal: readonly ErrorCode[] = ['ABORTED', 'FILE_FAILED', 'NO_SPACE', 'REGISTRY_UNAVAILABLE', 'TIMEOUT'];

/** Lets many tasks go on when one fails, so that all failures are reported together. */
export class FailureCollector {
  readonly #abort = new AbortController();
  readonly #failures: EdgeBundleError[] = [];
  /** Aborted by the caller's signal, or after a failure that makes the rest pointless. */
  readonly signal: AbortSignal;

  constructor(signal: AbortSignal | undefined) {
    this.signal = signal === undefined ? this.#abort.signal : AbortSignal.any([signal, this.#abort.signal]);
  }

  get count(): number {
    return this.#failures.length;
  }

  /** Runs `task`; an EdgeBundleError is kept, with `subject` named in it, and anything else thrown. */
  async run(subject: string, task: () => Promise<void>): Promise<void> {
    if (this.signal.aborted && this.#failures.length > 0) return;
    try {
      await task();
    } catch (error) {
      if (!isEdgeBundleError(error)) {
        this.#abort.abort();
        throw error;
      }
      // What ends because of another failure, or as one of many that were interrupted, is not a failure of its own.
      if (error.code === 'ABORTED' && this.#failures.length > 0) return;
      this.#failures.push(error.code === 'ABORTED' ? error : error.about(subject));
      if (fatal.includes(error.code)) this.#abort.abort(error);
    }
  }

  /** @throws EdgeBundleError with all failures, or the one that there is; its code is `code` where they differ */
  throwIfAny(code: ErrorCode, message: string): void {
    if (this.#failures.length > 0) throw combineFailures(code, message, this.#failures);
  }
}
