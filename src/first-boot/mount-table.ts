import { readFile } from 'node:fs/promises';

import { fileError } from '../files/file-error.ts';

/** A file system that is mounted as a whole, not a folder of it. */
export interface MountedFileSystem {
  /** `8:17` */
  readonly deviceNumber: string;
  readonly mountPoint: string;
}

/** What is mounted, in the order in which that happened. @throws EdgeBundleError FILE_FAILED */
export async function readMountTable(): Promise<readonly MountedFileSystem[]> {
  const path = '/proc/self/mountinfo';
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw fileError(error, 'cannot tell what is mounted');
  });
  return parseMountTable(text);
}

/** /proc/PID/mountinfo, proc(5): fields 3 (major:minor), 4 (root) and 5 (mount point). */
export function parseMountTable(text: string): readonly MountedFileSystem[] {
  return text.split('\n').flatMap((line) => {
    const [, , deviceNumber, root, mountPoint] = line.split(' ');
    if (deviceNumber === undefined || root !== '/' || mountPoint === undefined) return [];
    return [{ deviceNumber, mountPoint: unescape(mountPoint) }];
  });
}

/** Spaces, tabs, newlines and backslashes are octal there; the bytes are UTF-8. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_all, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}
