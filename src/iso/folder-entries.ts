import { lstat, readdir } from 'node:fs/promises';
import { join, posix } from 'node:path';

import { EdgeBundleError } from '../errors.ts';
import { fileError } from '../files/file-error.ts';
import type { IsoEntry } from './iso-entry.ts';

/**
 * Everything in a folder of this machine, to be put below `path` on the ISO.
 *
 * @throws EdgeBundleError FILE_FAILED, also for what is neither a file, a folder nor a link, and for names that checksum files
 *   cannot hold
 */
export async function folderEntries(folder: string, path: string): Promise<IsoEntry[]> {
  const entries: IsoEntry[] = [];
  const names = await readdir(folder).catch((error: unknown) => {
    throw fileError(error, `cannot read the folder '${folder}'`);
  });
  for (const name of names.sort()) {
    const [file, target] = [join(folder, name), posix.join(path, name)];

    if (/[\u0000-\u001f\\]/.test(name)) {
      throw new EdgeBundleError(
        'FILE_FAILED',
        `${JSON.stringify(file)} cannot be put on an ISO: its name has control characters`,
      );
    }
    const info = await lstat(file);
    if (info.isDirectory()) entries.push(...(await folderEntries(file, target)));
    else if (info.isSymbolicLink()) entries.push({ kind: 'link', path: target, file });
    else if (info.isFile())
      entries.push({ kind: 'file', path: target, file, size: info.size, executable: (info.mode & 0o111) !== 0 });
    else throw new EdgeBundleError('FILE_FAILED', `'${file}' is neither a file nor a folder`);
  }
  return entries;
}
