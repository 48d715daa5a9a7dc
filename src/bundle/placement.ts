import type { Digest } from '../content/digest.ts';
import { EdgeBundleError } from '../errors.ts';
import type { BundleEntry, BundleLayout, FrameRun } from './bundle-layout.ts';
import { frameContents } from './run-reader.ts';
import type { FrameSizes } from './seek-table.ts';
import { storedFrameBytes } from './stored-frame.ts';
import { storedRunBytes } from './stored-run.ts';

/** A blob that is pushed, and the run that is its own. */
export interface PlannedBlob {
  readonly digest: Digest;
  readonly entry: BundleEntry;
  readonly run: FrameRun;
}

export interface PlacedBlob extends PlannedBlob {
  /** Where in the file its run starts. */
  readonly start: number;
}

/** Where in the file each run goes while it is being written, and the sizes of the frames so far. */
export class Placement {
  readonly #layout: BundleLayout;
  readonly #frames: (FrameSizes | undefined)[];
  readonly #planned = new Map<Digest, PlannedBlob>();
  readonly #starts = new Map<Digest, number>();
  /** Compressed blobs that are pushed: each starts where the one before it ends. */
  readonly #following: Digest[] = [];
  #end = 0;

  constructor(layout: BundleLayout) {
    this.#layout = layout;
    this.#frames = Array.from({ length: layout.frameCount });
  }

  /** Where what is known so far ends: the next run's place. */
  get end(): number {
    return this.#end;
  }

  planned(digest: Digest): PlannedBlob | undefined {
    return this.#planned.get(digest);
  }

  /** The same with its place; undefined for a compressed blob until the one before it is complete. */
  placed(digest: Digest): PlacedBlob | undefined {
    const [blob, start] = [this.#planned.get(digest), this.#starts.get(digest)];
    return blob === undefined || start === undefined ? undefined : { ...blob, start };
  }

  /** The sizes of all frames of the file, once all are known. */
  get frames(): readonly FrameSizes[] {
    return this.#frames.map((frame) => frame ?? { compressed: 0, content: 0 });
  }

  framesOf(run: FrameRun): readonly number[] {
    const frames = this.#frames.slice(run.firstFrame, run.firstFrame + run.frameCount);
    return frames.map((frame) => frame?.compressed ?? 0);
  }

  /** Puts a run whose frames have these sizes at the end. */
  append(run: FrameRun, frames: readonly number[]): void {
    this.#setFrames(run, frames);
    this.#end += sum(frames);
  }

  /**
   * Gives the run of one blob its place.
   *
   * @throws EdgeBundleError FAILED where the place cannot be known, because of the order of the blobs
   */
  reserve(run: FrameRun): void {
    const entry = this.#layout.entries[run.firstEntry];
    if (entry?.digest === undefined || run.endEntry !== run.firstEntry + 1) {
      throw new EdgeBundleError('FAILED', 'small compressed blobs have to be in the metadata of a bundle');
    }
    const { digest } = entry;
    this.#planned.set(digest, { digest, entry, run });
    if (run.kind === 'zstd') {
      if (this.#following.length === 0) this.#starts.set(digest, this.#end);
      this.#following.push(digest);
      return;
    }
    if (this.#following.length > 0) {
      throw new EdgeBundleError('FAILED', 'stored blobs have to come before the compressed ones that are pushed');
    }
    this.#starts.set(digest, this.#end);
    this.append(run, frameContents(run).map(storedFrameBytes));
  }

  /** Takes note that a blob is in place; `frames` are the compressed sizes of a compressed one's. */
  complete({ digest, run }: PlannedBlob, frames: readonly number[]): void {
    if (run.kind === 'stored') return;
    this.append(run, frames);
    const next = this.#following[this.#following.indexOf(digest) + 1];
    if (next !== undefined) this.#starts.set(next, this.#end);
  }

  #setFrames(run: FrameRun, compressed: readonly number[]): void {
    frameContents(run).forEach((content, number) => {
      this.#frames[run.firstFrame + number] = { compressed: compressed[number] ?? 0, content };
    });
  }
}

/** Whether the file is long enough: the journal may have been copied whole, and the file not. */
export function isWithin({ run, start }: PlacedBlob, frames: readonly number[], fileBytes: number): boolean {
  if (run.kind === 'stored') return start + storedRunBytes(run.contentBytes) <= fileBytes;
  return frames.length === run.frameCount && start + sum(frames) <= fileBytes;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
