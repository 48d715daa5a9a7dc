import { stat, statfs } from 'node:fs/promises';

import { fileError } from './file-error.ts';

/** Whether both, which must exist, are on one file system, and so share its free space. */
export async function isSameFileSystem(one: string, other: string): Promise<boolean> {
  try {
    return (await stat(one)).dev === (await stat(other)).dev;
  } catch (error) {
    throw fileError(error, `cannot tell the file systems of '${one}' and '${other}'`);
  }
}

/** How many bytes an unprivileged process may still write to the file system that holds `path`, which must exist. */
export async function freeBytes(path: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  } catch (error) {
    throw fileError(error, `cannot tell the free space at '${path}'`);
  }
}
