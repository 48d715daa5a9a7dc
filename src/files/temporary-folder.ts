import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { fileError } from './file-error.ts';

/**
 * Runs `task` with a folder of its own, which only this user can read; it is removed afterwards, also where the task
 * fails or the process ends meanwhile.
 *
 * @throws EdgeBundleError FILE_FAILED, NO_SPACE where there is no place for it
 */
export async function withTemporaryFolder<T>(task: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'edge-bundle-')).catch((error: unknown) => {
    throw fileError(error, `cannot make a temporary folder in '${tmpdir()}'`);
  });
  removeAtExit(folder);
  try {
    return await task(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
    folders.delete(folder);
  }
}

const folders = new Set<string>();
let isRemovingAtExit = false;

/** One listener for all: several may be in use at once. */
function removeAtExit(folder: string): void {
  folders.add(folder);
  if (isRemovingAtExit) return;
  isRemovingAtExit = true;
  process.on('exit', () => {
    for (const left of folders) {
      try {
        rmSync(left, { recursive: true, force: true });
      } catch {
        // An error here would take the place of the one that ends the process.
      }
    }
  });
}
