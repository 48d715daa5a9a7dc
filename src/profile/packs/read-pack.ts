import { readFile, stat } from 'node:fs/promises';

import { isEdgeBundleError } from '../../errors.ts';
import { fileError } from '../../files/file-error.ts';
import { readArchive } from '../../files/read-archive.ts';
import { writeArchive } from '../../files/write-archive.ts';
import { readFolderFiles } from '../folder-files.ts';
import { definePack, type PackDefinition } from './pack-definition.ts';
import { problem } from '../problems.ts';

/** What a pack's archive may have, packed and unpacked; in bytes. */
export const maxPackBytes = 256 * 1024 * 1024;

/**
 * Reads a pack: a folder with a `pack.json`, or the `.tar.gz` of one. Hidden files and folders are left out.
 *
 * @throws EdgeBundleError PROFILE_INVALID with what is wrong or missing; ARCHIVE_INVALID, FILE_FAILED
 */
export async function readPack(path: string): Promise<PackDefinition> {
  const { isFolder, size } = await attempt(path, async () => {
    const found = await stat(path);
    return { isFolder: found.isDirectory(), size: found.size };
  });
  if (isFolder) return readPackFolder(path);
  if (size > maxPackBytes) throw problem(`pack '${path}'`, `has ${size} bytes; at most ${maxPackBytes} are read`);
  return readPackArchive(await attempt(path, () => readFile(path)), path);
}

/**
 * Reads the `.tar.gz` of a pack: of its folder, or of what is in it.
 *
 * @throws EdgeBundleError PROFILE_INVALID, ARCHIVE_INVALID
 */
export async function readPackArchive(
  bytes: Buffer,
  origin: string,
  artifact: Partial<Pick<PackDefinition, 'reference' | 'manifest'>> = {},
): Promise<PackDefinition> {
  return definePack(await unpackPack(bytes, origin), { origin, archive: () => Promise.resolve(bytes), ...artifact });
}

/**
 * The files of a pack's archive by their paths in the pack.
 *
 * @throws EdgeBundleError ARCHIVE_INVALID
 */
export async function unpackPack(bytes: Buffer, origin: string): Promise<ReadonlyMap<string, Buffer>> {
  const files = await readArchive(bytes, { where: `pack '${origin}'`, maxBytes: maxPackBytes });
  // `tar` makes archives of a folder as well as of all that is in it.
  const visible = [...files].filter(([path]) => !isHidden(path));
  const [top = '', ...others] = new Set(visible.map(([path]) => path.slice(0, path.indexOf('/') + 1)));
  if (top === '' || others.length > 0) return new Map(visible);
  return new Map(visible.map(([path, content]) => [path.slice(top.length), content]));
}

async function readPackFolder(path: string): Promise<PackDefinition> {
  const found = await readFolderFiles(path, (file) => !isHidden(file));
  const files = new Map(found.map((file) => [file.path, file.bytes]));
  return definePack(files, { origin: path, archive: () => Promise.resolve(writeArchive(files)) });
}

function isHidden(path: string): boolean {
  return path.split('/').some((part) => part.startsWith('.'));
}

async function attempt<T>(path: string, action: () => Promise<T>): Promise<T> {
  return action().catch((error: unknown) => {
    throw isEdgeBundleError(error) ? error : fileError(error, `cannot read the pack '${path}'`);
  });
}
