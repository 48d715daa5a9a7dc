import { mkdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError, isEdgeBundleError } from '../errors.ts';
import { writeFileAtomic } from '../files/atomic-file.ts';
import { fileError } from '../files/file-error.ts';
import { FileLock } from '../files/file-lock.ts';
import { freeBytes } from '../files/free-space.ts';
import { BundleReader } from './bundle-reader.ts';
import { baseOfPart, partsOf, partSuffix } from './find-parts.ts';
import { listParts } from './list-parts.ts';
import { PartFiles } from './part-files.ts';
import { encodePartList, partListPath, readPartList } from './part-list.ts';
import { PartialFile } from './partial-file.ts';
import type { BundleTrust } from './read-head.ts';

/** What the installer's parts have: GNU split's `3GB`. In bytes. */
export const installerPartBytes = 3_000_000_000;

export interface WritePartsOptions extends OperationOptions {
  /** What the bundle has to satisfy before anything in it is used. */
  readonly trust?: BundleTrust | undefined;
  /** Default: 3,000,000,000. */
  readonly partBytes?: number | undefined;
  /** The folder that the parts go to. Default: the bundle's. */
  readonly out?: string | undefined;
  /** Called as bytes have been written. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

export interface WrittenParts {
  readonly id: string;
  /** In bytes, all parts together. */
  readonly bytes: number;
  /** In order. */
  readonly paths: readonly string[];
  /** Of the list with their checksums. */
  readonly list: string;
  /** False where they were there already. */
  readonly isNew: boolean;
}

/**
 * Cuts a bundle into parts as `split --numeric-suffixes` does, and lists them with their checksums beside them. One pass.
 * A run that is killed leaves `….partial` files, which the next run writes anew; parts that are there already are kept.
 *
 * @param path as for `BundleReader.open`
 * @throws EdgeBundleError NO_SPACE (before the first byte is written), LOCKED, FILE_FAILED where other parts are in the way,
 *   BUNDLE_INVALID, BUNDLE_PART_MISSING, ABORTED, and what `trust` throws
 */
export async function writeParts(path: string, options: WritePartsOptions = {}): Promise<WrittenParts> {
  const { trust, partBytes = installerPartBytes, onProgress, signal } = options;
  const files = await PartFiles.open(path);
  try {
    const { id } = await BundleReader.read(files, { trust });
    const [first = path] = files.paths;
    const bundle = baseOfPart(basename(first)) ?? basename(first);
    const folder = options.out ?? dirname(first);
    const target = join(folder, bundle);
    await mkdir(folder, { recursive: true }).catch((error: unknown) => {
      throw fileError(error, `cannot make the folder '${folder}'`);
    });
    const lock = await FileLock.acquire(`${target}.lock`, { signal });
    try {
      const paths = partPaths(target, files.size, partBytes);
      const result = { id, bytes: files.size, paths, list: partListPath(target) };
      if (await isWritten(target, { id, paths, firstBytes: Math.min(partBytes, files.size) }))
        return { ...result, isNew: false };
      await ensureNothingInTheWay(target, files);
      await ensureSpaceFor(target, files.size, partBytes);
      const partial = await PartialFile.open(target, { partBytes });
      try {
        const list = await listParts({
          ...{ bundle, id, partBytes, signal, size: files.size },
          fill: (buffer, position) => files.fill(buffer, position),
          onChunk: async (chunk, part, offset) => {
            await partial.write([chunk], part * partBytes + offset);
            onProgress?.(chunk.byteLength);
          },
        });
        await partial.finish(files.size);
        await writeFileAtomic(result.list, encodePartList(list));
        await partial.publish();
      } catch (error) {
        await partial.discard();
        throw error;
      } finally {
        await partial.close();
      }
      return { ...result, isNew: true };
    } finally {
      await lock.release();
    }
  } finally {
    await files.close();
  }
}

function partPaths(target: string, size: number, partBytes: number): string[] {
  return Array.from({ length: Math.ceil(size / partBytes) }, (_, index) => `${target}${partSuffix(index)}`);
}

interface WantedParts {
  readonly id: string;
  readonly paths: readonly string[];
  readonly firstBytes: number;
}

/** Whether these parts, of these sizes, are there and are listed. Their bytes are for `verifyParts`. */
async function isWritten(target: string, { id, paths, firstBytes }: WantedParts): Promise<boolean> {
  try {
    const list = await readPartList(target);
    if (list?.id !== id || list.parts.length !== paths.length || list.parts[0]?.size !== firstBytes) return false;
    await (await PartFiles.open(`${target}${partSuffix(0)}`)).close();
    return true;
  } catch (error) {
    if (isEdgeBundleError(error)) return false;
    throw error;
  }
}

async function ensureNothingInTheWay(target: string, files: PartFiles): Promise<void> {
  const [there] = await partsOf(dirname(target), basename(target));
  // The first part gets its name last: where it has none yet, a run was killed just before.
  if (there === undefined || (await PartialFile.allocatedBytes(target, { partBytes: 1 })) > 0) return;
  const isSource = files.paths.some((path) => resolve(path) === resolve(there));
  throw new EdgeBundleError('FILE_FAILED', `other parts are there already: '${there}'`, {
    hint: isSource ? 'Choose another folder with --out.' : 'Remove them, or choose another folder with --out.',
  });
}

async function ensureSpaceFor(target: string, bytes: number, partBytes: number): Promise<void> {
  const needed = bytes - (await PartialFile.allocatedBytes(target, { partBytes }));
  const free = await freeBytes(dirname(target));
  if (needed <= free) return;
  throw new EdgeBundleError(
    'NO_SPACE',
    `the parts need ${needed} more bytes in '${dirname(target)}'; ${free} are free there`,
    { hint: 'Free some space, or choose another place with --out. Nothing was written.' },
  );
}
