import { statfs } from 'node:fs/promises';

import { fileError } from './file-error.ts';

/** How many bytes an unprivileged process may still write to the file system that holds `path`, which must exist. */
export async function freeBytes(path: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(path);
    return bavail * bsize;
  } catch (error) {
    throw fileError(error, `cannot tell the free space at '${path}'`);
  }
}
