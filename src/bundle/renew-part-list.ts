import { createHash } from 'node:crypto';
import { basename } from 'node:path';

import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError, throwIfAborted } from '../errors.ts';
import { writeFileAtomic } from '../files/atomic-file.ts';
import { withoutPartSuffix } from './find-parts.ts';
import type { PartFiles } from './part-files.ts';
import { encodePartList, type ListedPart, type PartList, partListPath } from './part-list.ts';

export interface PartChange extends OperationOptions {
  readonly position: number;
  /** What is there. */
  readonly present: Buffer;
  /** What is going to be there; as many bytes. */
  readonly content: Buffer;
}

const chunkBytes = 4 * 1024 * 1024;

/**
 * Makes `list`, which is that of the parts, that of the parts after a change which is made next. A run that is killed in
 * between can do both again: the list may already be that of the change.
 *
 * @returns the list that is there now
 * @throws EdgeBundleError BUNDLE_INVALID where a part that is changed is not as the list says: nothing was changed then;
 *   NO_SPACE, FILE_FAILED, ABORTED
 */
export async function renewPartList(files: PartFiles, list: PartList, change: PartChange): Promise<PartList> {
  const end = change.position + change.content.byteLength;
  const parts: ListedPart[] = [...list.parts];
  for (const [index, part] of files.parts.entries()) {
    const listed = list.parts[index];
    if (listed === undefined || part.start >= end || part.end <= change.position) continue;
    const before = await checksumWith(files, part, change, change.present);
    const after = await checksumWith(files, part, change, change.content);
    if (listed.sha256 !== before && listed.sha256 !== after) {
      throw new EdgeBundleError('BUNDLE_INVALID', `part '${basename(part.path)}' is not the one that was made`, {
        hint: 'Copy this part again, and sign then.',
      });
    }
    parts[index] = { ...listed, sha256: after };
  }
  const renewed = { ...list, parts };
  await writeFileAtomic(partListPath(withoutPartSuffix(files.paths[0] ?? '')), encodePartList(renewed));
  return renewed;
}

async function checksumWith(
  files: PartFiles,
  { start, end }: PartFiles['parts'][number],
  { position, signal }: PartChange,
  content: Buffer,
): Promise<string> {
  const hash = createHash('sha256');
  for (let at = start; at < end; at += chunkBytes) {
    throwIfAborted(signal);
    const chunk = await files.read(at, Math.min(chunkBytes, end - at));
    const from = Math.max(0, position - at);
    const to = Math.min(chunk.byteLength, position + content.byteLength - at);
    if (from < to) content.copy(chunk, from, at + from - position, at + to - position);
    hash.update(chunk);
  }
  return hash.digest('hex');
}
