import type { Readable } from 'node:stream';

import { abortedError, EdgeBundleError, isEdgeBundleError, systemErrorCode, throwIfAborted } from '../errors.ts';
import type { Descriptor } from './descriptor.ts';
import { digestAlgorithm, Digester } from './digest.ts';
import type { Fetcher, OperationOptions } from './store.ts';

/** Checks content against its descriptor while it passes. */
export class ContentVerifier {
  readonly #expected: Descriptor;
  readonly #digester: Digester;
  #bytes = 0;

  constructor(expected: Descriptor) {
    this.#expected = expected;
    this.#digester = new Digester(digestAlgorithm(expected.digest));
  }

  /** How many bytes have passed. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @throws EdgeBundleError SIZE_MISMATCH as soon as more has come than expected */
  update(chunk: Uint8Array): void {
    this.#bytes += chunk.byteLength;
    if (this.#bytes > this.#expected.size) {
      throw new EdgeBundleError(
        'SIZE_MISMATCH',
        `${this.#expected.digest}: expected ${this.#expected.size} bytes, more came`,
      );
    }
    this.#digester.update(chunk);
  }

  /** @throws EdgeBundleError SIZE_MISMATCH, DIGEST_MISMATCH */
  finish(): void {
    if (this.#bytes !== this.#expected.size) {
      throw new EdgeBundleError(
        'SIZE_MISMATCH',
        `${this.#expected.digest}: expected ${this.#expected.size} bytes, ${this.#bytes} came`,
      );
    }
    const actual = this.#digester.digest();
    if (actual !== this.#expected.digest) {
      throw new EdgeBundleError(
        'DIGEST_MISMATCH',
        `${this.#expected.digest}: the content that came has the digest ${actual}`,
      );
    }
  }
}

/** Passes `content` on and throws, after the last byte at the latest, where it does not match `expected`. */
export async function* verified(expected: Descriptor, content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const verifier = new ContentVerifier(expected);
  for await (const chunk of content) {
    verifier.update(chunk);
    yield chunk;
  }
  verifier.finish();
}

export interface ReadContentOptions extends OperationOptions {
  /** The most that is held in memory; in bytes. Default: 4 MiB, what registries accept as a manifest. */
  readonly maxBytes?: number | undefined;
}

export const maxManifestBytes = 4 * 1024 * 1024;

/**
 * The whole of `target`, verified, in memory. Content that was damaged on its way is fetched once more.
 *
 * @throws EdgeBundleError CONTENT_TOO_LARGE before anything is fetched, NOT_FOUND, SIZE_MISMATCH, DIGEST_MISMATCH
 */
export async function readContent(
  fetcher: Fetcher,
  target: Descriptor,
  options: ReadContentOptions = {},
): Promise<Buffer> {
  const { maxBytes = maxManifestBytes, signal } = options;
  if (target.size > maxBytes) {
    throw new EdgeBundleError(
      'CONTENT_TOO_LARGE',
      `${target.digest} (${target.mediaType}) has ${target.size} bytes; at most ${maxBytes} are read into memory`,
      { hint: 'A manifest has at most 4 MiB in every registry; the registry or the descriptor is wrong.' },
    );
  }
  throwIfAborted(signal);
  try {
    return await readOnce(fetcher, target, signal);
  } catch (error) {
    if (!isEdgeBundleError(error, 'DIGEST_MISMATCH', 'SIZE_MISMATCH')) throw error;
    return readOnce(fetcher, target, signal);
  }
}

async function readOnce(fetcher: Fetcher, target: Descriptor, signal: AbortSignal | undefined): Promise<Buffer> {
  const content = await fetcher.fetch(target, { signal });
  const chunks: Buffer[] = [];
  for await (const chunk of verified(target, bytesOf(content, signal))) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/**
 * The chunks of a byte stream as buffers. Leaving the loop destroys the stream; so does `signal`, with an ABORTED error.
 *
 * @throws EdgeBundleError TRANSFER_INCOMPLETE where the stream is destroyed before its end, ABORTED; what the stream fails with
 */
export async function* bytesOf(content: Readable, signal?: AbortSignal): AsyncGenerator<Buffer> {
  const onAbort = (): void => {
    if (signal !== undefined) content.destroy(abortedError(signal));
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted === true) onAbort();
  try {
    for await (const chunk of content) yield chunk as Buffer;
  } catch (error) {
    if (systemErrorCode(error) !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
    throw new EdgeBundleError('TRANSFER_INCOMPLETE', 'the content broke off before its end', { cause: error });
  } finally {
    signal?.removeEventListener('abort', onAbort);
    content.destroy();
  }
}
