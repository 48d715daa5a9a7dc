import { type Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import type { Descriptor } from '../content/descriptor.ts';
import type { OperationOptions } from '../content/store.ts';
import { ContentVerifier } from '../content/verify.ts';
import { EdgeBundleError, systemErrorCode, throwIfAborted } from '../errors.ts';

export interface ReceiveOptions extends OperationOptions {
  /** Keeps the next bytes. It is called again when it is done, with all that has come meanwhile. */
  readonly write: (chunks: readonly Uint8Array[]) => Promise<void>;
}

/** How much may wait for `write`. */
const bufferBytes = 1024 * 1024;

/**
 * Takes all of `content` and verifies it; `write` may have been given bytes that turn out to be wrong.
 *
 * @throws EdgeBundleError SIZE_MISMATCH, DIGEST_MISMATCH, TRANSFER_INCOMPLETE, ABORTED; what `write` and `content` throw
 */
export async function receive(expected: Descriptor, content: Readable, options: ReceiveOptions): Promise<void> {
  const { signal, write } = options;
  const verifier = new ContentVerifier(expected);
  const take = async (chunks: readonly Uint8Array[]): Promise<void> => {
    // The hash is computed here while the write is under way elsewhere.
    const writing = write(chunks);
    try {
      for (const chunk of chunks) verifier.update(chunk);
    } finally {
      await writing;
    }
  };
  const sink = new Writable({
    highWaterMark: bufferBytes,
    write: (chunk: Uint8Array, _encoding, done) => {
      take([chunk]).then(() => done(), done);
    },
    writev: (items, done) => {
      take(items.map(({ chunk }) => chunk as Uint8Array)).then(() => done(), done);
    },
  });
  try {
    await (signal === undefined ? pipeline(content, sink) : pipeline(content, sink, { signal }));
  } catch (error) {
    throwIfAborted(signal);
    if (systemErrorCode(error) !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
    throw new EdgeBundleError(
      'TRANSFER_INCOMPLETE',
      `${expected.digest}: the transfer broke off after ${verifier.bytes} of ${expected.size} bytes`,
      { cause: error },
    );
  }
  verifier.finish();
}
