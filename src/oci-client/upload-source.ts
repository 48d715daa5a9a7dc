import { Readable } from 'node:stream';

import type { Descriptor } from '../content/descriptor.ts';
import type { OperationOptions } from '../content/store.ts';
import { bytesOf, ContentVerifier } from '../content/verify.ts';
import type { RateLimit } from './rate-limit.ts';

export interface UploadSourceOptions extends OperationOptions {
  readonly rate?: RateLimit | undefined;
}

/**
 * Content on its way up, in parts, verified as it passes. The last piece is held back until the whole has been
 * verified: what does not match is never sent completely, so that no registry can take it.
 */
export class UploadSource {
  readonly #pieces: AsyncGenerator<Buffer, undefined>;
  readonly #options: UploadSourceOptions;
  #rest: Buffer = Buffer.alloc(0);
  #failure: Error | undefined;

  constructor(expected: Descriptor, content: Readable, options: UploadSourceOptions) {
    this.#options = options;
    this.#pieces = heldBack(expected, bytesOf(content, options.signal));
  }

  /** Why the content could not be read or did not match; undefined where it did, so far. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** The next `lengthBytes` bytes, to be read before the part that follows. */
  part(lengthBytes: number): Readable {
    // Chunk by chunk, in object mode: a byte stream would join the chunks that wait, and copy them all.
    return Readable.from(this.#take(lengthBytes), { highWaterMark: 2 });
  }

  /** Reads the first `lengthBytes` bytes, which the registry has already, so that they are verified with the rest. */
  async skip(lengthBytes: number): Promise<void> {
    let missing = lengthBytes;
    while (missing > 0) {
      if (this.#rest.byteLength === 0) this.#rest = (await this.#next()) ?? Buffer.alloc(0);
      // The content is shorter than it should be: the end of it says so.
      if (this.#rest.byteLength === 0) return;
      const skipped = Math.min(missing, this.#rest.byteLength);
      this.#rest = this.#rest.subarray(skipped);
      missing -= skipped;
    }
  }

  /**
   * Reads to the end, where all parts have been taken.
   *
   * @throws EdgeBundleError SIZE_MISMATCH, DIGEST_MISMATCH, and what the content fails with
   */
  async finish(): Promise<void> {
    await this.#next();
  }

  async *#take(lengthBytes: number): AsyncGenerator<Buffer> {
    let missing = lengthBytes;
    while (missing > 0) {
      if (this.#rest.byteLength === 0) this.#rest = (await this.#next()) ?? Buffer.alloc(0);
      const piece = this.#rest.subarray(0, missing);
      this.#rest = this.#rest.subarray(piece.byteLength);
      missing -= piece.byteLength;
      yield piece;
      await this.#options.rate?.pass(piece.byteLength, this.#options.signal);
    }
  }

  async #next(): Promise<Buffer | undefined> {
    try {
      return (await this.#pieces.next()).value;
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error));
      throw this.#failure;
    }
  }
}

async function* heldBack(expected: Descriptor, content: AsyncIterable<Buffer>): AsyncGenerator<Buffer, undefined> {
  const verifier = new ContentVerifier(expected);
  let held: Buffer | undefined;
  for await (const piece of content) {
    if (piece.byteLength === 0) continue;
    verifier.update(piece);
    if (held !== undefined) yield held;
    held = piece;
  }
  verifier.finish();
  if (held !== undefined) yield held;
}
