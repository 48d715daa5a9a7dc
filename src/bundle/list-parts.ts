import { createHash } from 'node:crypto';

import type { OperationOptions } from '../content/store.ts';
import { throwIfAborted } from '../errors.ts';
import { partSuffix } from './find-parts.ts';
import type { ListedPart, PartList } from './part-list.ts';

export interface ListPartsOptions extends OperationOptions {
  /** Fills a buffer with bytes of the whole file. */
  readonly fill: (buffer: Buffer, position: number) => Promise<void>;
  /** The whole file's name, id and size. */
  readonly bundle: string;
  readonly id: string;
  readonly size: number;
  readonly partBytes: number;
  /**
   * Gets every byte, in order, while it is hashed: with the number of the part that it belongs to, and where it stands in that. The chunk
   * is used again afterwards.
   */
  readonly onChunk?: ((chunk: Buffer, part: number, offset: number) => Promise<void>) | undefined;
}

/** What fits into a processor's cache is read, hashed and written in half the time. */
const chunkBytes = 768 * 1024;

/** Reads the whole file once, and lists the parts that it has, or is going to have. */
export async function listParts(options: ListPartsOptions): Promise<PartList> {
  const { bundle, id, size, partBytes, onChunk, signal } = options;
  const parts: ListedPart[] = [];
  let hash = createHash('sha256');
  for await (const { chunk, at } of readAhead(options)) {
    throwIfAborted(signal);
    const start = parts.length * partBytes;
    const end = Math.min(size, start + partBytes);
    const taken = onChunk?.(chunk, parts.length, at - start);
    taken?.catch(() => undefined);
    hash.update(chunk);
    await taken;
    if (at + chunk.byteLength < end) continue;
    parts.push({ name: `${bundle}${partSuffix(parts.length)}`, size: end - start, sha256: hash.digest('hex') });
    hash = createHash('sha256');
  }
  return { bundle, id, size, parts };
}

/** All chunks, none of which is in two parts; the next one is read while one is in use. */
async function* readAhead(options: ListPartsOptions): AsyncIterable<{ readonly chunk: Buffer; readonly at: number }> {
  const { fill, size, partBytes } = options;
  const buffers = [Buffer.allocUnsafeSlow(chunkBytes), Buffer.allocUnsafeSlow(chunkBytes)] as const;
  let inUse: 0 | 1 = 0;
  const readAt = (at: number): Promise<Buffer> => {
    const end = Math.min(size, (Math.floor(at / partBytes) + 1) * partBytes);
    inUse = inUse === 0 ? 1 : 0;
    const chunk = buffers[inUse].subarray(0, Math.min(chunkBytes, end - at));
    const reading = fill(chunk, at).then(() => chunk);
    reading.catch(() => undefined);
    return reading;
  };
  let next = readAt(0);
  for (let at = 0; at < size;) {
    const chunk = await next;
    const following = at + chunk.byteLength;
    if (following < size) next = readAt(following);
    yield { chunk, at };
    at = following;
  }
}
