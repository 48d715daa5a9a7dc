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
  /** Gets every byte, in order: with the number of the part that it belongs to, and where it stands in that. */
  readonly onChunk?: ((chunk: Buffer, part: number, offset: number) => Promise<void> | void) | undefined;
}

const chunkBytes = 4 * 1024 * 1024;

/** Reads the whole file once, and lists the parts that it has, or is going to have. */
export async function listParts(options: ListPartsOptions): Promise<PartList> {
  const { read, bundle, id, size, partBytes, onChunk, signal } = options;
  const parts: ListedPart[] = [];
  for (let start = 0; start < size; start += partBytes) {
    const end = Math.min(size, start + partBytes);
    const hash = createHash('sha256');
    for (let at = start; at < end; at += chunkBytes) {
      throwIfAborted(signal);
      const chunk = await read(at, Math.min(chunkBytes, end - at));
      hash.update(chunk);
      await onChunk?.(chunk, parts.length, at - start);
    }
    parts.push({ name: `${bundle}${partSuffix(parts.length)}`, size: end - start, sha256: hash.digest('hex') });
  }
  return { bundle, id, size, parts };
}
