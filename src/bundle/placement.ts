import type { Digest } from '../content/digest.ts';
import { EdgeBundleError } from '../errors.ts';
import type { BundleEntry, BundleLayout, FrameRun } from './bundle-layout.ts';
import { frameContents } from './run-reader.ts';
import type { FrameSizes } from './seek-table.ts';
import { storedFrameBytes } from './stored-frame.ts';

/** A blob that is pushed, and the run that is its own. */
export interface PlacedBlob {
  readonly digest: Digest;
  readonly entry: BundleEntry;
  readonly run: FrameRun;
  /** In the file; undefined for a compressed blob until the one before it is complete. */
  readonly start: number | undefined;
}

/** Where in the file each run goes while it is being written, and the sizes of the frames so far. */
export class Placement {
  readonly #layout: BundleLayout;
  readonly #frames: (FrameSizes | undefined)[];
  readonly #blobs = new Map<Digest, PlacedBlob>();
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

  blob(digest: Digest): PlacedBlob | undefined {
    return this.#blobs.get(digest);
  }

  /** The sizes of all frames of the file, once all are known. */
  get frames(): readonly FrameSizes[] {
    return this.#frames.map((frame) => frame ?? { compressed: 0, content: 0 });
  }

  framesOf(run: FrameRun): readonly number[] {
    return this.frames.slice(run.firstFrame, run.firstFrame + run.frameCount).map(({ compressed }) => compressed);
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
    if (run.kind === 'zstd') {
      const isFirst = this.#following.length === 0;
      this.#blobs.set(digest, { digest, entry, run, start: isFirst ? this.#end : undefined });
      this.#following.push(digest);
      return;
    }
    if (this.#following.length > 0) {
      throw new EdgeBundleError('FAILED', 'stored blobs have to come before the compressed ones that are pushed');
    }
    this.#blobs.set(digest, { digest, entry, run, start: this.#end });
    this.append(run, frameContents(run).map(storedFrameBytes));
  }

  /** Takes note that a blob is in place; `frames` are the compressed sizes of a compressed one's. */
  complete(blob: PlacedBlob, frames: readonly number[]): void {
    if (blob.run.kind === 'stored') return;
    this.append(blob.run, frames);
    const next = this.#following[this.#following.indexOf(blob.digest) + 1];
    const following = next === undefined ? undefined : this.#blobs.get(next);
    if (following !== undefined) this.#blobs.set(following.digest, { ...following, start: this.#end });
  }

  #setFrames(run: FrameRun, compressed: readonly number[]): void {
    frameContents(run).forEach((content, number) => {
      this.#frames[run.firstFrame + number] = { compressed: compressed[number] ?? 0, content };
    });
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
