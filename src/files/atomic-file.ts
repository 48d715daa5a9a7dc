import { randomUUID } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

import { fileError } from './file-error.ts';

export interface WriteFileOptions {
  /** Who may read and write the file, as in chmod(2). Default: what the process's umask allows. */
  readonly mode?: number | undefined;
  /**
   * Whether the file is there, whole, after a power cut that comes next. Default: true. Without, it is quicker, and the file
   * may then be empty or cut short: for what can be made again, by readers who see that.
   */
  readonly isDurable?: boolean | undefined;
}

/**
 * Writes a file so that a reader, and a machine that loses power, sees the old file or the new one and nothing between:
 * temporary file beside it, fsync, rename, fsync of the folder. Missing folders are made.
 *
 * @throws EdgeBundleError NO_SPACE, FILE_FAILED
 */
export async function writeFileAtomic(
  path: string,
  content: Uint8Array | string,
  options: WriteFileOptions = {},
): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await replaceFile(path, content, options);
    if (options.isDurable !== false) await syncFolder(dirname(path));
  } catch (error) {
    throw fileError(error, `cannot write '${path}'`);
  }
}

async function replaceFile(
  path: string,
  content: Uint8Array | string,
  { mode, isDurable }: WriteFileOptions,
): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    const handle = await open(temporary, 'wx', mode);
    try {
      await handle.writeFile(content);
      if (isDurable !== false) await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Makes what was created, renamed or removed in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
