import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { throwIfAborted } from '../errors.ts';
import { fileError } from '../files/file-error.ts';
import type { Medium } from './media.ts';

/** What may be a bundle: a file, or parts of one. */
export interface BundleFile {
  /** The file; of parts the name before `_part00`. */
  readonly path: string;
  readonly medium: Medium;
  /** The file itself, or its parts in order. */
  readonly paths: readonly string[];
  /** Changes where the file, or one of the parts, is another one. */
  readonly version: string;
}

const fileName = /^(?<base>.+\.zst)(?:_part\d{2,})?$/;
/** `content-…/` and `bundle-content/` lie at the top, or below a folder of the ISO. */
const maxDepth = 4;
/** A disk full of small files is no place that bundles are looked for in. */
const maxEntries = 20_000;

/**
 * Every `.zst` file, and every set of parts of one, in the folder of a medium and in those below it: sorted by path.
 *
 * @throws EdgeBundleError FILE_FAILED, ABORTED
 */
export async function findBundleFiles(medium: Medium, signal?: AbortSignal): Promise<readonly BundleFile[]> {
  const found = new Map<string, string[]>();
  let entries = 0;
  const visit = async (folder: string, depth: number): Promise<void> => {
    for (const entry of await entriesOf(folder)) {
      throwIfAborted(signal);
      entries += 1;
      if (entries > maxEntries) return;
      const path = join(folder, entry.name);
      const kind = await kindOf(entry, path, medium);
      if (kind === 'folder' && depth < maxDepth) await visit(path, depth + 1);
      const base = fileName.exec(entry.name)?.groups?.base;
      if (kind !== 'file' || base === undefined) continue;
      const name = join(folder, base);
      found.set(name, [...(found.get(name) ?? []), path]);
    }
  };
  await visit(medium.folder, 1);
  const files: BundleFile[] = [];
  for (const [path, paths] of [...found].sort(([one], [other]) => (one < other ? -1 : 1))) {
    const sorted = paths.sort();
    files.push({ path, medium, paths: sorted, version: await versionOf(sorted) });
  }
  return files;
}

async function entriesOf(folder: string): Promise<readonly Dirent[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.sort((one, other) => (one.name < other.name ? -1 : 1));
  } catch (error) {
    throw fileError(error, `cannot look into '${folder}'`);
  }
}

async function kindOf(entry: Dirent, path: string, { followsLinks }: Medium): Promise<'file' | 'folder' | 'other'> {
  const info = entry.isSymbolicLink() && followsLinks ? await stat(path).catch(() => entry) : entry;
  return info.isFile() ? 'file' : info.isDirectory() ? 'folder' : 'other';
}

async function versionOf(paths: readonly string[]): Promise<string> {
  const parts = await Promise.all(
    paths.map(async (path) => {
      const info = await stat(path).catch(() => undefined);
      return `${path} ${info?.dev ?? 0} ${info?.ino ?? 0} ${info?.size ?? 0} ${info?.mtimeMs ?? 0}`;
    }),
  );
  return parts.join('\n');
}
