import { combineFailures, EdgeBundleError, type ErrorCode, isEdgeBundleError } from '../errors.ts';

/** After one of these, going on with the rest would fail in the same way. */
const fatal: readonly ErrorCode[] = ['ABORTED', 'FILE_FAILED', 'NO_SPACE'];

/** What comes of a registry that is gone or hangs. */
const unreachable: readonly ErrorCode[] = ['REGISTRY_UNAVAILABLE', 'TIMEOUT'];

/** A single one may be the fault of one blob: a registry is given up after so many, with no success between. */
const failuresInARow = 3;
const maxNamed = 10;

interface RegistryState {
  unreachableInARow: number;
  /** Set when the registry is given up: what tasks that come later fail with. */
  refusal?: EdgeBundleError;
  readonly untried: Set<string>;
}

/** Lets many tasks go on when one fails, so that all failures are reported together. */
export class FailureCollector {
  readonly #abort = new AbortController();
  readonly #failures: { readonly task: number; readonly error: EdgeBundleError }[] = [];
  readonly #registries = new Map<string, RegistryState>();
  #tasks = 0;
  /** Aborted by the caller's signal, or after a failure that makes the rest pointless. */
  readonly signal: AbortSignal;

  constructor(signal: AbortSignal | undefined) {
    this.signal = signal === undefined ? this.#abort.signal : AbortSignal.any([signal, this.#abort.signal]);
  }

  /** What failed, and what was not tried after that. */
  get count(): number {
    return [...this.#registries.values()].reduce((sum, { untried }) => sum + untried.size, this.#failures.length);
  }

  /**
   * Runs `task`; an EdgeBundleError is kept, with `reference` named in it, and anything else thrown.
   *
   * @param reference in normal form
   * @returns whether the task succeeded
   */
  async run(reference: string, task: () => Promise<void>): Promise<boolean> {
    const number = (this.#tasks += 1);
    if (this.signal.aborted && this.#failures.length > 0) return false;
    const state = this.#stateOf(reference);
    try {
      await task();
      state.unreachableInARow = 0;
      return true;
    } catch (error) {
      if (!isEdgeBundleError(error)) {
        this.#abort.abort();
        throw error;
      }
      if (error === state.refusal) {
        state.untried.add(reference);
        return false;
      }
      // What ends because of another failure, or as one of many that were interrupted, is not a failure of its own.
      if (error.code === 'ABORTED' && this.#failures.length > 0) return false;
      this.#failures.push({ task: number, error: error.code === 'ABORTED' ? error : error.about(reference) });
      if (fatal.includes(error.code)) this.#abort.abort(error);
      if (unreachable.includes(error.code) && (state.unreachableInARow += 1) === failuresInARow)
        state.refusal ??= new EdgeBundleError(error.code, `${registryOf(reference)} was given up`);
      return false;
    }
  }

  /**
   * To be called before each request of a task.
   *
   * @throws EdgeBundleError where the registry has been given up; `run` knows it
   */
  ensureReachable(reference: string): void {
    const { refusal } = this.#stateOf(reference);
    if (refusal !== undefined) throw refusal;
  }

  /** @throws EdgeBundleError with all failures, in the order of the tasks; its code is `code` where theirs differ */
  throwIfAny(code: ErrorCode, message: string): void {
    if (this.#failures.length === 0) return;
    const inOrder = this.#failures.toSorted((one, other) => one.task - other.task).map(({ error }) => error);
    throw combineFailures(code, message, [...inOrder, ...this.#givenUp()]);
  }

  /** One error for each registry that was given up, with what was not tried. */
  #givenUp(): EdgeBundleError[] {
    return [...this.#registries].flatMap(([registry, { refusal, untried }]) => {
      if (refusal === undefined || untried.size === 0) return [];
      const named = [...untried].slice(0, maxNamed).join(', ');
      const more = untried.size > maxNamed ? `, and ${untried.size - maxNamed} more` : '';
      return new EdgeBundleError(refusal.code, `${registry} was given up; not tried: ${named}${more}`);
    });
  }

  #stateOf(reference: string): RegistryState {
    const registry = registryOf(reference);
    const known = this.#registries.get(registry) ?? { unreachableInARow: 0, untried: new Set() };
    this.#registries.set(registry, known);
    return known;
  }
}

function registryOf(reference: string): string {
  return reference.slice(0, reference.indexOf('/'));
}
