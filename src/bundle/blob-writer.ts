import { compressedFrameContentBytes } from './bundle-layout.ts';
import type { PartialFile } from './partial-file.ts';
import { frameChunk, type StoredRun, storedRunPosition } from './stored-run.ts';
import { compressFrame } from './zstd-codec.ts';

/** How much is gathered for one write. */
const writeBytes = 1024 * 1024;

/** Puts the bytes of a run into the file, in order; what is in place is told to `onWritten`. */
export interface RunWriter {
  add(chunk: Buffer): Promise<void>;
  /** Writes what is left. */
  end(): Promise<void>;
  /** After a failure: keeps what can be gone on from. No write is under way afterwards. */
  suspend(): Promise<void>;
}

/** Writes a stored run: one write is under way while the next one is gathered. */
export class StoredRunWriter implements RunWriter {
  readonly #file: PartialFile;
  readonly #run: StoredRun;
  readonly #onWritten: (offset: number) => Promise<void>;
  #offset: number;
  #pieces: Buffer[] = [];
  #pieceStart: number;
  #writing: Promise<void> = Promise.resolve();

  /** @param offset of the run, from which it goes on; `onWritten` gets the offset up to which all is in place */
  constructor(file: PartialFile, run: StoredRun, offset: number, onWritten: (offset: number) => Promise<void>) {
    this.#file = file;
    this.#run = run;
    this.#offset = offset;
    this.#pieceStart = offset;
    this.#onWritten = onWritten;
  }

  async add(chunk: Buffer): Promise<void> {
    this.#pieces.push(...frameChunk(this.#run, this.#offset, chunk));
    this.#offset += chunk.byteLength;
    if (this.#offset - this.#pieceStart >= writeBytes) await this.#flush();
  }

  async end(): Promise<void> {
    await this.#flush();
    await this.#writing;
  }

  suspend(): Promise<void> {
    return this.end();
  }

  async #flush(): Promise<void> {
    await this.#writing;
    const [pieces, start, end] = [this.#pieces, this.#pieceStart, this.#offset];
    if (end === start) return;
    this.#pieces = [];
    this.#pieceStart = end;
    this.#writing = this.#file.write(pieces, storedRunPosition(this.#run, start)).then(() => this.#onWritten(end));
    this.#writing.catch(() => undefined);
  }
}

/** Writes a compressed run frame by frame. */
export class CompressedRunWriter implements RunWriter {
  readonly #file: PartialFile;
  readonly #onWritten: (frameBytes: number) => Promise<void>;
  #position: number;
  /** Of the next frame. */
  #chunks: Buffer[] = [];
  #held = 0;

  /** @param position in the file, of the next frame; `onWritten` gets the size of each frame */
  constructor(file: PartialFile, position: number, onWritten: (frameBytes: number) => Promise<void>) {
    this.#file = file;
    this.#position = position;
    this.#onWritten = onWritten;
  }

  async add(chunk: Buffer): Promise<void> {
    for (let rest = chunk; rest.byteLength > 0;) {
      const taken = rest.subarray(0, compressedFrameContentBytes - this.#held);
      this.#chunks.push(taken);
      this.#held += taken.byteLength;
      rest = rest.subarray(taken.byteLength);
      if (this.#held === compressedFrameContentBytes) await this.#writeFrame();
    }
  }

  async end(): Promise<void> {
    if (this.#held > 0) await this.#writeFrame();
  }

  /** Only whole frames are kept, and they are in place already. */
  suspend(): Promise<void> {
    return Promise.resolve();
  }

  async #writeFrame(): Promise<void> {
    const frame = compressFrame(Buffer.concat(this.#chunks));
    this.#chunks = [];
    this.#held = 0;
    await this.#file.write([frame], this.#position);
    this.#position += frame.byteLength;
    await this.#onWritten(frame.byteLength);
  }
}
