import { type FileHandle, open } from 'node:fs/promises';
import { Readable } from 'node:stream';

import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError, throwIfAborted } from '../errors.ts';
import { fileError } from '../files/file-error.ts';
import type { RangeBounds } from './byte-range.ts';

const chunkBytes = 256 * 1024;

/** The bytes `start` to `end` of a file. It is opened when they are read, so that a stream nobody reads holds nothing. */
export function streamFile(path: string, range: RangeBounds, options: OperationOptions = {}): Readable {
  return Readable.from(readChunks(path, range, options), { objectMode: false, highWaterMark: 2 * chunkBytes });
}

async function* readChunks(
  path: string,
  { start, end }: RangeBounds,
  { signal }: OperationOptions,
): AsyncGenerator<Buffer> {
  let file: FileHandle | undefined;
  try {
    throwIfAborted(signal);
    file = await open(path, 'r');
    for (let at = start; at < end;) {
      throwIfAborted(signal);
      const buffer = Buffer.allocUnsafeSlow(Math.min(chunkBytes, end - at));
      const { bytesRead } = await file.read(buffer, 0, buffer.byteLength, at);
      if (bytesRead === 0) throw new EdgeBundleError('TRANSFER_INCOMPLETE', `'${path}' ends at byte ${at} of ${end}`);
      yield buffer.subarray(0, bytesRead);
      at += bytesRead;
    }
  } catch (error) {
    throw fileError(error, `cannot read '${path}'`);
  } finally {
    await file?.close();
  }
}
