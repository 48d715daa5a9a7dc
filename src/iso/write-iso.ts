import { writeFully } from '../files/write-fully.ts';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError } from '../errors.ts';
import { syncFolder } from '../files/atomic-file.ts';
import { fileError } from '../files/file-error.ts';
import { FileLock } from '../files/file-lock.ts';
import { freeBytes } from '../files/free-space.ts';
import { withTemporaryFolder } from '../files/temporary-folder.ts';
import type { IsoBundle } from './content-entries.ts';
import { imageCommands, type ImageCommandsOptions } from './image-commands.ts';
import { type IsoEntry, sizeOf } from './iso-entry.ts';
import type { IsoImage } from './iso-image.ts';
import { isoBlockBytes } from './volume-descriptor.ts';
import { writeFromBase } from './write-from-base.ts';
import { writeNewImage } from './write-new-image.ts';
import type { Xorriso } from './xorriso.ts';

export interface WriteIsoOptions extends OperationOptions, Omit<ImageCommandsOptions, 'last'> {
  readonly xorriso: Xorriso;
  readonly out: string;
  readonly bundles: readonly IsoBundle[];
  /** What there is besides the bundles. */
  readonly entries: readonly IsoEntry[];
  /** Write over a file that is there. */
  readonly force?: boolean | undefined;
  readonly onWritten?: ((share: number) => void) | undefined;
}

/** What an image has besides its files: descriptors, folders, padding. */
const overheadBytes = 4 * 1024 * 1024;

/**
 * Writes an image in one pass to `<out>.partial`, and then gives it its name. Contents that are known late have their places
 * filled in at the end.
 *
 * @throws EdgeBundleError FILE_FAILED where `out` is there already; NO_SPACE before anything is written; LOCKED, ISO_FAILED, ABORTED
 */
export async function writeIso(options: WriteIsoOptions): Promise<IsoImage> {
  const { out, base, signal, force = false } = options;
  const entries = [...options.entries, ...options.bundles.flatMap((bundle) => bundle.entries)];
  const last = options.bundles.flatMap((bundle) => bundle.parts);
  const folder = dirname(resolve(out));
  await mkdir(folder, { recursive: true }).catch((error: unknown) => {
    throw fileError(error, `cannot make the folder '${folder}'`);
  });
  const lock = await FileLock.acquire(`${out}.lock`, { signal });
  try {
    if (!force && (await isThere(out))) {
      throw new EdgeBundleError('FILE_FAILED', `'${out}' is there already`, {
        hint: 'Remove it, or write over it with --force.',
      });
    }
    const partial = `${resolve(out)}.partial`;
    await rm(partial, { force: true });
    await ensureSpace(folder, base, entries);
    try {
      const image = await withTemporaryFolder(async (temporary) => {
        const commands = await imageCommands({ ...options, entries, last }, temporary);
        return base === undefined
          ? writeNewImage(partial, commands, options)
          : writeFromBase(partial, commands, { ...options, base });
      });
      await fillIn(image, entries);
      await rename(partial, resolve(out));
      await syncFolder(folder);
      return { ...image, path: out };
    } catch (error) {
      await rm(partial, { force: true });
      throw fileError(error, `cannot write '${out}'`);
    }
  } finally {
    await lock.release();
  }
}

async function ensureSpace(folder: string, base: IsoImage | undefined, entries: readonly IsoEntry[]): Promise<void> {
  const blocks = entries.reduce((sum, entry) => sum + Math.ceil(sizeOf(entry) / isoBlockBytes), 0);
  const needed = (base?.bytes ?? 0) + blocks * isoBlockBytes + overheadBytes;
  const free = await freeBytes(folder);
  if (needed <= free) return;
  throw new EdgeBundleError('NO_SPACE', `the ISO needs ${needed} bytes in '${folder}'; ${free} are free there`, {
    hint: 'Free some space, or choose another place with --out. Nothing was written.',
  });
}

/** Puts contents that are known now into their places, and makes the image durable. */
async function fillIn(image: IsoImage, entries: readonly IsoEntry[]): Promise<void> {
  const handle = await open(image.path, 'r+');
  try {
    for (const entry of entries) {
      if (entry.kind !== 'late') continue;
      const bytes = await entry.bytes();
      const place = image.files.get(entry.path);
      const there = Buffer.alloc(entry.size);
      if (place !== undefined) await handle.read(there, 0, entry.size, place.offset);
      if (
        place?.size !== bytes.byteLength ||
        bytes.byteLength !== entry.size ||
        !there.equals(Buffer.alloc(entry.size))
      ) {
        throw new EdgeBundleError(
          'ISO_FAILED',
          `the place of '${entry.path}' on the ISO is not the one that was kept for it`,
        );
      }
      await writeFully(handle, bytes, place.offset);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await (await open(path, 'r')).close();
    return true;
  } catch {
    return false;
  }
}
