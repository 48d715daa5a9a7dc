import { ContentVerifier } from '../content/verify.ts';
import { EdgeBundleError, isEdgeBundleError, throwIfAborted } from '../errors.ts';
import { blobDescriptor } from './bundle-document.ts';
import type { PartialFile } from './partial-file.ts';
import type { PlacedBlob } from './placement.ts';
import { readRun } from './run-reader.ts';
import { tarBlockBytes, tarHeader, tarPaddingBytes } from './tar-entry.ts';

/** What the unfinished bundle has of one blob. */
export class WrittenBlob {
  readonly #file: PartialFile;
  readonly #place: PlacedBlob;
  readonly #frames: readonly number[];

  /** @param frames the compressed sizes of its frames so far; only needed for a compressed blob */
  constructor(file: PartialFile, place: PlacedBlob, frames: readonly number[]) {
    this.#file = file;
    this.#place = place;
    this.#frames = frames;
  }

  /** Bytes `start` to `end` of the content. */
  read(start: number, end: number, signal?: AbortSignal): AsyncGenerator<Buffer> {
    return this.#readRun(tarBlockBytes + start, tarBlockBytes + end, signal);
  }

  /**
   * A verifier that has seen the first `bytes` of the content; undefined where what is there cannot be gone on from.
   *
   * @throws EdgeBundleError ABORTED
   */
  async verifyStart(bytes: number, epoch: number, signal?: AbortSignal): Promise<ContentVerifier | undefined> {
    const { digest, entry } = this.#place;
    const verifier = new ContentVerifier(blobDescriptor({ digest, size: entry.size }));
    const isSound = await soundness(async () => {
      await this.#expect(0, tarHeader(entry.path, entry.size, epoch));
      for await (const chunk of this.read(0, bytes, signal)) verifier.update(chunk);
    });
    return isSound && verifier.bytes === bytes ? verifier : undefined;
  }

  /** Whether all of it is there as it has to be: header, content, padding. @throws EdgeBundleError ABORTED */
  async isIntact(epoch: number, signal?: AbortSignal): Promise<boolean> {
    const { size } = this.#place.entry;
    const verifier = await this.verifyStart(size, epoch, signal);
    return (
      verifier !== undefined &&
      (await soundness(async () => {
        verifier.finish();
        await this.#expect(tarBlockBytes + size, Buffer.alloc(tarPaddingBytes(size)));
      }))
    );
  }

  async #expect(from: number, expected: Buffer): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of this.#readRun(from, from + expected.byteLength)) chunks.push(chunk);
    if (Buffer.concat(chunks).equals(expected)) return;
    throw new EdgeBundleError('BUNDLE_INVALID', `what was written of ${this.#place.digest} is damaged`);
  }

  async *#readRun(from: number, to: number, signal?: AbortSignal): AsyncGenerator<Buffer> {
    const { run, start } = this.#place;
    const read = (position: number, length: number): Promise<Buffer> => this.#file.read(position, length);
    for await (const chunk of readRun(read, run, start, this.#frames, from, to)) {
      throwIfAborted(signal);
      yield chunk;
    }
  }
}

/** False where `check` finds something else than what has to be there, or nothing that can be read. */
async function soundness(check: () => Promise<void>): Promise<boolean> {
  try {
    await check();
    return true;
  } catch (error) {
    if (isEdgeBundleError(error, 'BUNDLE_INVALID', 'FILE_FAILED', 'SIZE_MISMATCH', 'DIGEST_MISMATCH')) return false;
    throw error;
  }
}
