import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';

import { type Digest, digestOf } from '../content/digest.ts';
import { type EdgeBundleError, isEdgeBundleError } from '../errors.ts';
import { fileError } from '../files/file-error.ts';
import { combineProblems, problem } from './problems.ts';

export interface FolderFile {
  /** Relative to the folder, with `/` between its parts. */
  readonly path: string;
  readonly bytes: Buffer;
}

const maxFiles = 10_000;
const maxFolderBytes = 256 * 1024 * 1024;
const maxDepth = 64;

/**
 * All files of a folder whose path `wants` accepts, and of the folders in it, sorted by path. A link to something inside
 * the folder stands for that; one that leads out of it is refused: nobody who gives a folder means files elsewhere.
 *
 * @throws EdgeBundleError PROFILE_INVALID for links that lead out or nowhere, and for more than 10,000 files, 256 MiB, or
 *   64 levels; FILE_FAILED
 */
export async function readFolderFiles(folder: string, wants: (path: string) => boolean): Promise<FolderFile[]> {
  const paths = await findFiles(folder, wants);
  if (paths.length > maxFiles)
    throw problem(`'${folder}'`, `holds ${paths.length} files; at most ${maxFiles} are read`);
  const files: FolderFile[] = [];
  let total = 0;
  for (const path of paths) {
    const bytes = await attempt(join(folder, path), async (file) => {
      total += (await stat(file)).size;
      if (total > maxFolderBytes) throw problem(`'${folder}'`, `holds more than ${maxFolderBytes} bytes`);
      return readFile(file);
    });
    files.push({ path, bytes });
  }
  return files;
}

/** One digest for many files: of their paths, each with the digest of its content. */
export function digestOfFiles(files: readonly FolderFile[]): Digest {
  const lines = files.map(({ path, bytes }) => `${JSON.stringify(path)} ${digestOf(bytes)}\n`);
  return digestOf(Buffer.from(lines.join('')));
}

async function findFiles(folder: string, wants: (path: string) => boolean): Promise<string[]> {
  const root = await attempt(folder, (path) => realpath(path));
  const found: string[] = [];
  const problems: EdgeBundleError[] = [];
  const pending = [''];
  for (let parent = pending.pop(); parent !== undefined; parent = pending.pop()) {
    if (parent.split('/').length > maxDepth) throw problem(`'${folder}'`, `is more than ${maxDepth} folders deep`);
    const entries = await attempt(join(folder, parent), (path) => readdir(path, { withFileTypes: true }));
    for (const entry of entries) {
      const path = parent === '' ? entry.name : `${parent}/${entry.name}`;
      if (entry.isDirectory()) pending.push(path);
      else if (entry.isFile() && wants(path)) found.push(path);
      else if (entry.isSymbolicLink()) {
        const target = await followLink(join(folder, path), root);
        if (isEdgeBundleError(target)) problems.push(target);
        // What it leads to is read anyway, where it stands, unless it has another ending there.
        else if (target.isFile && wants(path) && !wants(target.path)) found.push(path);
      }
    }
  }
  if (problems.length > 0) throw combineProblems(`'${folder}'`, problems);
  return found.sort((one, other) => (one < other ? -1 : 1));
}

/** What a link leads to, relative to `root`; or why it may not. */
async function followLink(link: string, root: string): Promise<{ path: string; isFile: boolean } | EdgeBundleError> {
  const target = await realpath(link).catch(() => undefined);
  if (target === undefined) return problem(`'${link}'`, 'is a link that leads nowhere');
  if (target !== root && !target.startsWith(root + sep)) {
    return problem(`'${link}'`, 'is a link that leads out of the folder', {
      hint: 'Copy what it leads to into the folder, or give that file by itself.',
    });
  }
  return { path: target.slice(root.length + 1).replaceAll(sep, '/'), isFile: (await stat(target)).isFile() };
}

async function attempt<T>(path: string, action: (path: string) => Promise<T>): Promise<T> {
  return action(path).catch((error: unknown) => {
    throw fileError(error, `cannot read '${path}'`);
  });
}
