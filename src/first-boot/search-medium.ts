import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { EdgeBundleError, isEdgeBundleError, throwIfAborted } from '../errors.ts';
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

export interface FoundFiles {
  /** Sorted by path. */
  readonly files: readonly BundleFile[];
  /** Folders that cannot be read, and what was not looked at: there may be bundles in them. */
  readonly problems: readonly EdgeBundleError[];
}

/**
 * Every `.zst` file, and every set of parts of one, in the folder of a medium and in those below it; what lies near the top
 * comes first.
 *
 * @throws EdgeBundleError ABORTED
 */
export async function searchMedium(medium: Medium, signal?: AbortSignal): Promise<FoundFiles> {
  const found = new Map<string, string[]>();
  const problems: EdgeBundleError[] = [];
  const folders = [{ folder: medium.folder, depth: 1 }];
  let entries = 0;
  for (const { folder, depth } of folders) {
    throwIfAborted(signal);
    if (entries > maxEntries) break;
    try {
      for (const entry of await entriesOf(folder)) {
        throwIfAborted(signal);
        entries += 1;
        const path = join(folder, entry.name);
        const kind = await kindOf(entry, path, medium);
        if (kind === 'folder' && depth < maxDepth) folders.push({ folder: path, depth: depth + 1 });
        const base = fileName.exec(entry.name)?.groups?.base;
        if (kind !== 'file' || base === undefined) continue;
        const name = join(folder, base);
        found.set(name, [...(found.get(name) ?? []), path]);
      }
    } catch (error) {
      throwIfAborted(signal);
      if (!isEdgeBundleError(error)) throw error;
      problems.push(error);
    }
  }
  if (entries > maxEntries) problems.push(tooMany(medium));
  const files: BundleFile[] = [];
  for (const [path, paths] of [...found].sort(([one], [other]) => (one < other ? -1 : 1))) {
    const sorted = paths.sort();
    files.push({ path, medium, paths: sorted, version: await versionOf(sorted) });
  }
  return { files, problems };
}

function tooMany({ name }: Medium): EdgeBundleError {
  return new EdgeBundleError('FILE_FAILED', `${name} has more than ${maxEntries} files: not all of it was looked at`, {
    hint: "Name the folder with the bundles in the configuration ('directory', or 'path' of a medium).",
  });
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
