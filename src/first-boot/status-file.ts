import { readFile } from 'node:fs/promises';

import { type EdgeBundleError, isEdgeBundleError } from '../errors.ts';
import { writeFileAtomic } from '../files/atomic-file.ts';
import { redact } from '../redaction.ts';
import { type BundleStatus, type FirstBootStatus, firstBootStatusSchema } from '../report/first-boot-status.ts';

export interface StatusFileOptions {
  readonly path: string;
  readonly registry: string;
  readonly project: string;
  readonly packsProject: string;
  /** Is called when the file cannot be written, once: a full disk is no reason not to load. */
  readonly onProblem: (error: EdgeBundleError) => void;
}

/** The status, and the file that has it: always whole, and at most as old as the last `save`. */
export class StatusFile {
  readonly #path: string;
  readonly #onProblem: (error: EdgeBundleError) => void;
  #status: FirstBootStatus;
  #saving: Promise<void> | undefined;
  #isStale = false;
  #hasTold = false;

  private constructor({ path, onProblem, ...place }: StatusFileOptions, attempts: number) {
    this.#path = path;
    this.#onProblem = onProblem;
    const now = new Date().toISOString();
    this.#status = {
      formatVersion: 1,
      state: 'starting',
      line: 'starting',
      ...place,
      attempts,
      startedAt: now,
      updatedAt: now,
      bundles: [],
      skipped: [],
      missing: [],
      problems: [],
      preflight: [],
    };
  }

  /** Begins anew; of the file that is there only the number of attempts is kept. */
  static async open(options: StatusFileOptions): Promise<StatusFile> {
    return new StatusFile(options, (await earlierAttempts(options.path)) + 1);
  }

  get current(): FirstBootStatus {
    return this.#status;
  }

  update(change: Partial<FirstBootStatus>): void {
    this.#status = { ...this.#status, ...change, updatedAt: new Date().toISOString() };
  }

  /** Changes the bundle of that path, or adds it. */
  updateBundle(path: string, change: Partial<BundleStatus>): void {
    const { bundles } = this.#status;
    const isKnown = bundles.some((bundle) => bundle.path === path);
    const added: BundleStatus = { path, medium: '', state: 'found', doneBytes: 0, totalBytes: 0, images: 0, charts: 0 };
    const all = isKnown ? bundles : [...bundles, added];
    this.update({ bundles: all.map((bundle) => (bundle.path === path ? { ...bundle, ...change } : bundle)) });
  }

  /** Returns when what is current now is in the file, or cannot be. */
  async save(): Promise<void> {
    this.#isStale = true;
    this.#saving ??= this.#saveAll();
    await this.#saving;
  }

  async #saveAll(): Promise<void> {
    try {
      while (this.#isStale) {
        this.#isStale = false;
        await writeFileAtomic(this.#path, redact(`${JSON.stringify(this.#status, undefined, 2)}\n`), { mode: 0o644 });
      }
    } catch (error) {
      if (!isEdgeBundleError(error)) throw error;
      if (!this.#hasTold) this.#onProblem(error);
      this.#hasTold = true;
    } finally {
      this.#saving = undefined;
    }
  }
}

async function earlierAttempts(path: string): Promise<number> {
  try {
    const { attempts } = firstBootStatusSchema
      .pick({ attempts: true })
      .loose()
      .parse(JSON.parse(await readFile(path, 'utf8')));
    return attempts;
  } catch {
    return 0;
  }
}
