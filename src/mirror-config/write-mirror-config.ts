import { readFile, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { digestHex, digestOf } from '../content/digest.ts';
import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError, systemErrorCode, throwIfAborted } from '../errors.ts';
import { syncFolder, writeFileAtomic } from '../files/atomic-file.ts';
import { fileError } from '../files/file-error.ts';
import { withFileLock } from '../files/file-lock.ts';

/** In the folder: what is of this program there, as `sha256sum` writes it. */
const listName = 'mirror-config.sha256';
const maxListBytes = 4 * 1024 * 1024;

/** The digests that a file may have, by its path: two while files are being replaced. */
type Written = Map<string, readonly string[]>;

/**
 * Writes the files of a `mirrorConfig` into a folder, and removes those that an earlier run wrote there and this one has not.
 * A file that is not as it was written, or that something else put in a place that is needed, is never replaced or removed:
 * then nothing is changed at all. Other files in the folder are left alone.
 *
 * @param files by path; as `mirrorConfig` makes them
 * @throws EdgeBundleError FILE_FAILED, NO_SPACE, LOCKED, ABORTED
 */
export async function writeMirrorConfig(
  folder: string,
  files: ReadonlyMap<string, string>,
  { signal }: OperationOptions = {},
): Promise<void> {
  await withFileLock(join(folder, 'mirror-config.lock'), { signal }, async () => {
    const before = await readList(join(folder, listName));
    const after: Written = new Map([...files].map(([path, text]) => [path, [sha256(text)]]));
    const both: Written = new Map(after);
    for (const [path, digests] of before) both.set(path, [...digests, ...(after.get(path) ?? [])]);
    const found = await ensureOwn(folder, both);
    throwIfAborted(signal);
    // A run that is killed between two files finds both the old ones and the new ones its own.
    await writeFileAtomic(join(folder, listName), encodeList(both));
    for (const [path, text] of files) await writeFileAtomic(join(folder, path), text);
    for (const path of found) if (!files.has(path)) await remove(folder, path);
    if (after.size > 0) await writeFileAtomic(join(folder, listName), encodeList(after));
    else await remove(folder, listName);
  });
}

/** @returns the paths at which there is a file. @throws EdgeBundleError FILE_FAILED where one is none of ours */
async function ensureOwn(folder: string, written: Written): Promise<readonly string[]> {
  const found: string[] = [];
  const foreign: string[] = [];
  for (const [path, digests] of written) {
    const content = await readIfThere(join(folder, path));
    if (content === undefined) continue;
    found.push(path);
    if (!digests.includes(sha256(content))) foreign.push(path);
  }
  if (foreign.length === 0) return found;
  const names = foreign.map((path) => `'${join(folder, path)}'`).join(', ');
  throw new EdgeBundleError('FILE_FAILED', `mirror-config did not write ${names}, or not as it is now`, {
    hint: 'Nothing was changed. Give another folder with --out, or move these away.',
  });
}

async function remove(folder: string, path: string): Promise<void> {
  try {
    await rm(join(folder, path), { force: true });
    let parent = dirname(path);
    while (parent !== '.' && (await removeEmpty(join(folder, parent)))) parent = dirname(parent);
    await syncFolder(join(folder, parent));
  } catch (error) {
    throw fileError(error, `cannot remove '${join(folder, path)}'`);
  }
}

/** False where it is not empty. */
async function removeEmpty(folder: string): Promise<boolean> {
  try {
    await rmdir(folder);
    return true;
  } catch (error) {
    // A link to a folder, and a disk that is mounted there, were not made here.
    if (['ENOTEMPTY', 'EEXIST', 'ENOTDIR', 'EBUSY'].includes(systemErrorCode(error) ?? '')) return false;
    throw error;
  }
}

function encodeList(written: Written): string {
  const lines = [...written].flatMap(([path, digests]) =>
    [...new Set(digests)].map((digest) => `${digest}  ${path}\n`),
  );
  return lines.sort().join('');
}

async function readList(path: string): Promise<Written> {
  const text = (await readIfThere(path))?.toString('utf8') ?? '';
  const written: Written = new Map();
  for (const line of text.split('\n').filter((each) => each !== '')) {
    const { digest, name } = /^(?<digest>[0-9a-f]{64}) {2}(?<name>[^/].*)$/.exec(line)?.groups ?? {};
    // It says what may be removed: whoever changed it is not to reach other folders with it.
    const isBelow = name?.split('/').every((part) => !['', '.', '..'].includes(part)) === true;
    if (digest === undefined || name === undefined || !isBelow || text.length > maxListBytes) {
      throw new EdgeBundleError('FILE_FAILED', `'${path}' is no list of files that mirror-config wrote`, {
        hint: 'Give another folder with --out, or move that file away.',
      });
    }
    written.set(name, [...(written.get(name) ?? []), digest]);
  }
  return written;
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemErrorCode(error) ?? '')) return undefined;
    throw fileError(error, `cannot read '${path}'`);
  }
}

function sha256(content: Buffer | string): string {
  return digestHex(digestOf(content));
}
