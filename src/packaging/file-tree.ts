import { createHash } from 'node:crypto';
import { lutimes, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { EdgeBundleError, systemErrorCode, throwIfAborted } from '../errors.ts';
import { syncFolder } from '../files/atomic-file.ts';
import { fileError } from '../files/file-error.ts';

export interface TreeFile {
  readonly content: Buffer;
  readonly isExecutable: boolean;
}

/** Files by their paths in a folder: `bin/edge-bundle`. */
export type FileTree = ReadonlyMap<string, TreeFile>;

export interface WriteTreeOptions {
  /** Of all files and folders, in seconds since 1970. */
  readonly sourceDateEpoch: number;
  readonly signal?: AbortSignal | undefined;
}

/** The lines of `sha256sum` for a tree, in the order of its paths. */
export function checksums(tree: FileTree): Buffer {
  const lines = [...tree].map(
    ([path, { content }]) => `${createHash('sha256').update(content).digest('hex')}  ${path}\n`,
  );
  return Buffer.from(lines.join(''));
}

/** The folders of a tree, those that others are in first. */
export function foldersOf(tree: FileTree): readonly string[] {
  const folders = new Set<string>();
  for (const path of tree.keys()) {
    for (let folder = dirname(path); folder !== '.'; folder = dirname(folder)) folders.add(folder);
  }
  return [...folders].sort();
}

/**
 * Writes `tree` as the folder `path`: whole, or not at all. What was there by that name is replaced.
 *
 * @throws EdgeBundleError FILE_FAILED, also where something else is there; NO_SPACE, ABORTED
 */
export async function writeTree(path: string, tree: FileTree, options: WriteTreeOptions): Promise<void> {
  const [partial, old] = [`${path}.partial`, `${path}.old`];
  try {
    await rm(partial, { recursive: true, force: true });
    await writeFiles(partial, tree, options);
    // What a run that was killed here left.
    await rm(old, { recursive: true, force: true });
    await renameIfThere(path, old);
    await rename(partial, path);
    await syncFolder(dirname(path));
    await rm(old, { recursive: true, force: true });
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw fileError(error, `cannot write '${path}'`);
  }
}

/**
 * Ensures that at `path` is nothing, or what `writeTree` has made there before.
 *
 * @throws EdgeBundleError FILE_FAILED where something else is there
 */
export async function ensureReplaceable(path: string, marker: string): Promise<void> {
  const found = await readdir(path).catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw fileError(error, `cannot read '${path}'`);
  });
  if (found === undefined || found.length === 0) return;
  if ((await stat(join(path, marker)).catch(() => undefined)) !== undefined) return;
  throw new EdgeBundleError('FILE_FAILED', `'${path}' is there, and is something else`, {
    hint: 'Choose another folder with --out.',
  });
}

async function writeFiles(root: string, tree: FileTree, options: WriteTreeOptions): Promise<void> {
  const { sourceDateEpoch: time, signal } = options;
  await mkdir(root, { recursive: true });
  const folders = foldersOf(tree);
  for (const folder of folders) await mkdir(join(root, folder));
  for (const [path, { content, isExecutable }] of tree) {
    throwIfAborted(signal);
    const handle = await open(join(root, path), 'wx');
    try {
      await handle.writeFile(content);
      // Whatever the umask.
      await handle.chmod(isExecutable ? 0o755 : 0o644);
      await handle.utimes(time, time);
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
  for (const folder of ['', ...folders].reverse()) {
    const place = join(root, folder);
    const handle = await open(place, 'r');
    try {
      await handle.chmod(0o755);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await lutimes(place, time, time);
  }
}

async function renameIfThere(from: string, to: string): Promise<void> {
  await rename(from, to).catch((error: unknown) => {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
  });
}
