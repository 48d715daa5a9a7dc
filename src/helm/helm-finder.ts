import { findHelm, type FindHelmOptions, type HelmProgram } from './helm-program.ts';
import { locateHelm } from './locate-helm.ts';

/** Looks for Helm once, however often it is asked for. */
export class HelmFinder {
  readonly #options: FindHelmOptions;
  readonly #closing = new AbortController();
  #path: Promise<string> | undefined;
  #program: Promise<HelmProgram> | undefined;

  constructor(options: FindHelmOptions) {
    this.#options = options;
  }

  /** Where it is: see `locateHelm`. It is not run. */
  path(): Promise<string> {
    return (this.#path ??= locateHelm(this.#options));
  }

  /** See `findHelm`. */
  program(): Promise<HelmProgram> {
    const { signal } = this.#options;
    const signals = [this.#closing.signal, ...(signal === undefined ? [] : [signal])];
    return (this.#program ??= findHelm({ ...this.#options, signal: AbortSignal.any(signals) }));
  }

  /** Looks for it while the caller does something else. What is wrong with it is told when it is asked for. */
  prepare(): void {
    this.program().catch(() => undefined);
  }

  /** Ends a search whose result nobody waits for any more: nothing runs, and nothing is left, when this returns. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#program?.catch(() => undefined);
  }
}
