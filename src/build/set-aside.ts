import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { systemErrorCode } from '../errors.ts';
import { fileError } from '../files/file-error.ts';
import { BlobCache } from '../store/blob-cache.ts';
import type { EarlierBundle } from './local-content.ts';

/**
 * Where a build in `out` puts what it can have when it cannot have everything: the places in a bundle are not known before all
 * of its manifests are. The next build takes it from there.
 */
export function setAsideFolder(out: string): string {
  return join(out, '.set-aside');
}

/** What an earlier build has set aside; undefined where that is nothing. */
export async function findSetAside(out: string): Promise<EarlierBundle | undefined> {
  const folder = setAsideFolder(out);
  if (!(await isThere(folder))) return undefined;
  const blobs = await openSetAside(out);
  return {
    paths: [folder],
    exists: (target, options) => blobs.exists(target, options),
    fetch: (target, options) => blobs.fetch(target, options),
  };
}

/** Makes the folder. What does not fit onto the disk is left out of it. */
export function openSetAside(out: string): Promise<BlobCache> {
  return BlobCache.open(setAsideFolder(out), { maxBytes: Number.MAX_SAFE_INTEGER });
}

/** To be called when the bundle is there. */
export async function removeSetAside(out: string): Promise<void> {
  const folder = setAsideFolder(out);
  await rm(folder, { recursive: true, force: true }).catch((error: unknown) => {
    throw fileError(error, `cannot remove '${folder}'`);
  });
}

async function isThere(folder: string): Promise<boolean> {
  try {
    return (await stat(folder)).isDirectory();
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT' || systemErrorCode(error) === 'ENOTDIR') return false;
    throw fileError(error, `cannot read '${folder}'`);
  }
}
