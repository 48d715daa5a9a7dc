import { EdgeBundleError } from '../errors.ts';
import {
  type BundleLayout,
  compressedFrameContentBytes,
  type FrameRun,
  maxCompressedFrameBytes,
  storedFrameContentBytes,
} from './bundle-layout.ts';
import type { PartFiles } from './part-files.ts';
import type { FrameSizes } from './seek-table.ts';
import {
  frameMagic,
  storedBlockBytes,
  storedBlockHeader,
  storedFrameBytes,
  storedFrameOffset,
} from './stored-frame.ts';
import { type ReadAt, readStoredRun } from './stored-run.ts';
import { decompressFrame } from './zstd-codec.ts';

const cachedFrames = 8;

/** Bytes that have to stand at a place of the file, whatever the content is. */
export interface FrameMark {
  readonly position: number;
  readonly bytes: Buffer;
}

/** Reads the archive out of its frames, at any offset. */
export class FrameReader {
  readonly #readAt: ReadAt;
  readonly #runs: readonly FrameRun[];
  readonly #frames: readonly FrameSizes[];
  /** Where each frame starts in the file. */
  readonly #starts: Float64Array;
  readonly #cache = new Map<number, Promise<Buffer>>();

  /**
   * @throws EdgeBundleError BUNDLE_INVALID where `frames`, from the file's seek table, are not the frames of the layout
   */
  constructor(files: PartFiles, layout: BundleLayout, frames: readonly FrameSizes[]) {
    ensureFramesFit(layout, frames);
    this.#readAt = (position, length) => files.read(position, length);
    this.#runs = layout.runs;
    this.#frames = frames;
    this.#starts = new Float64Array(frames.length);
    let start = 0;
    frames.forEach(({ compressed }, index) => {
      this.#starts[index] = start;
      start += compressed;
    });
  }

  /** `length` bytes of the archive from `tarOffset`. */
  async *read(tarOffset: number, length: number): AsyncGenerator<Buffer> {
    let at = tarOffset;
    const end = tarOffset + length;
    for (let index = this.#runAt(at); at < end; index += 1) {
      const run = this.#runs[index];
      if (run === undefined) throw new EdgeBundleError('FAILED', `the archive ends before byte ${end}`);
      const from = at - run.tarOffset;
      const to = Math.min(end - run.tarOffset, run.contentBytes);
      yield* run.kind === 'stored'
        ? readStoredRun(this.#readAt, { start: this.#start(run.firstFrame), contentBytes: run.contentBytes }, from, to)
        : this.#readCompressed(run, from, to);
      at = run.tarOffset + to;
    }
  }

  /** Where frames and stored blocks begin, in order. */
  *marks(): Generator<FrameMark> {
    for (const run of this.#runs) {
      for (let index = run.firstFrame; index < run.firstFrame + run.frameCount; index += 1) {
        const position = this.#start(index);
        yield { position, bytes: frameMagic };
        if (run.kind === 'stored') yield* storedBlockMarks(position, this.#sizes(index).content);
      }
    }
  }

  async *#readCompressed(run: FrameRun, from: number, to: number): AsyncGenerator<Buffer> {
    for (let at = from; at < to;) {
      const number = Math.floor(at / compressedFrameContentBytes);
      const content = await this.#decompressed(run.firstFrame + number);
      const frameStart = number * compressedFrameContentBytes;
      const end = Math.min(to, frameStart + content.byteLength);
      yield content.subarray(at - frameStart, end - frameStart);
      at = end;
    }
  }

  #decompressed(index: number): Promise<Buffer> {
    const cached = this.#cache.get(index);
    if (cached !== undefined) return cached;
    const { compressed, content } = this.#sizes(index);
    const frame = this.#readAt(this.#start(index), compressed).then((bytes) => decompressFrame(bytes, content));
    this.#cache.set(index, frame);
    frame.catch(() => this.#cache.delete(index));
    const oldest = this.#cache.keys().next().value;
    if (this.#cache.size > cachedFrames && oldest !== undefined) this.#cache.delete(oldest);
    return frame;
  }

  #runAt(tarOffset: number): number {
    let [low, high] = [0, this.#runs.length];
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((this.#runs[middle]?.tarOffset ?? 0) <= tarOffset) low = middle;
      else high = middle;
    }
    return low;
  }

  #start(index: number): number {
    return this.#starts[index] ?? 0;
  }

  #sizes(index: number): FrameSizes {
    return this.#frames[index] ?? { compressed: 0, content: 0 };
  }
}

function* storedBlockMarks(position: number, contentBytes: number): Generator<FrameMark> {
  for (let offset = storedBlockBytes; offset < contentBytes; offset += storedBlockBytes) {
    yield { position: position + storedFrameOffset(offset), bytes: storedBlockHeader(contentBytes, offset) };
  }
}

function ensureFramesFit(layout: BundleLayout, frames: readonly FrameSizes[]): void {
  if (frames.length !== layout.frameCount) {
    throw misfit(`it names ${frames.length} frames, bundle.json implies ${layout.frameCount}`);
  }
  for (const run of layout.runs) {
    const cut = run.kind === 'stored' ? storedFrameContentBytes : compressedFrameContentBytes;
    for (let number = 0; number < run.frameCount; number += 1) {
      const index = run.firstFrame + number;
      const frame = frames[index];
      const content = Math.min(cut, run.contentBytes - number * cut);
      if (frame?.content !== content) {
        throw misfit(`frame ${index} has ${frame?.content ?? 0} bytes of content, bundle.json implies ${content}`);
      }
      const [least, most] = possibleFrameBytes(run, content);
      if (frame.compressed < least || frame.compressed > most) {
        throw misfit(`frame ${index} has ${frame.compressed} bytes, bundle.json implies ${least} to ${most}`);
      }
    }
  }
}

/** What a frame can take in the file. It is read into memory, so a claim of more is no reason to allocate that. */
function possibleFrameBytes({ kind }: FrameRun, contentBytes: number): readonly [number, number] {
  switch (kind) {
    case 'stored':
      return [storedFrameBytes(contentBytes), storedFrameBytes(contentBytes)];
    case 'zstd':
      return [1, maxCompressedFrameBytes];
  }
}

function misfit(reason: string): EdgeBundleError {
  return new EdgeBundleError('BUNDLE_INVALID', `the bundle's seek table does not fit its content: ${reason}`, {
    hint: 'The file was damaged or changed after the build; copy it again.',
  });
}
