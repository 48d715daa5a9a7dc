import { combineFailures, type EdgeBundleError, type ErrorCode, isEdgeBundleError } from '../errors.ts';

/** After one of these, going on with the rest would fail in the same way, or wait for nothing. */
const fatal: readonly ErrorCode[] = ['ABORTED', 'FILE_FAILED', 'NO_SPACE', 'REGISTRY_UNAVAILABLE', 'TIMEOUT'];

/** Lets many tasks go on when one fails, so that all failures are reported together. */
export class FailureCollector {
  readonly #abort = new AbortController();
  readonly #failures: { readonly task: number; readonly error: EdgeBundleError }[] = [];
  #tasks = 0;
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
    const number = (this.#tasks += 1);
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
      this.#failures.push({ task: number, error: error.code === 'ABORTED' ? error : error.about(subject) });
      if (fatal.includes(error.code)) this.#abort.abort(error);
    }
  }

  /** @throws EdgeBundleError with all failures, in the order of the tasks; its code is `code` where theirs differ */
  throwIfAny(code: ErrorCode, message: string): void {
    if (this.#failures.length === 0) return;
    const inOrder = this.#failures.toSorted((one, other) => one.task - other.task);
    throw combineFailures(
      code,
      message,
      inOrder.map(({ error }) => error),
    );
  }
}
