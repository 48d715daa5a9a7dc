import { createHash } from 'node:crypto';

import type { OperationOptions } from '../content/store.ts';
import { throwIfAborted } from '../errors.ts';
import { partSuffix } from './find-parts.ts';
import type { ListedPart, PartList } from './part-list.ts';

export interface ListPartsOptions extends OperationOptions {
  /** Bytes of the whole file. */
  readonly read: (position: number, length: number) => Promise<Buffer>;
  /** The whole file's name, id and size. */
  readonly bundle: string;
  readonly id: string;
  readonly size: number;
  readonly partBytes: number;
  /** Gets every byte, in order, while it is hashed: with the number of the part that it belongs to, and where it stands in that. */
  readonly onChunk?: ((chunk: Buffer, part: number, offset: number) => Promise<void>) | undefined;
}

const chunkBytes = 4 * 1024 * 1024;

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
  const { read, size, partBytes } = options;
  const readAt = (at: number): Promise<Buffer> => {
    const end = Math.min(size, (Math.floor(at / partBytes) + 1) * partBytes);
    const reading = read(at, Math.min(chunkBytes, end - at));
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
