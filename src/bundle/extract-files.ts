import { randomUUID } from 'node:crypto';
import { link, lstat, mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { mediaTypes } from '../content/media-types.ts';
import type { OperationOptions, ReadOnlyContentStore } from '../content/store.ts';
import { bytesOf, verified } from '../content/verify.ts';
import { combineFailures, EdgeBundleError, isEdgeBundleError, systemErrorCode, throwIfAborted } from '../errors.ts';
import { syncFolder } from '../files/atomic-file.ts';
import { fileError } from '../files/file-error.ts';
import type { BundleDocument, BundleFile } from './bundle-document.ts';

export interface ExtractOptions extends OperationOptions {
  /** A bundle that was opened; a `BundleReader` is one. */
  readonly bundle: ReadOnlyContentStore & { readonly document: BundleDocument };
  /** The folder that the files are put into; it is made where it is missing. */
  readonly out: string;
  /** Which files. Default: all. */
  readonly names?: readonly string[] | undefined;
  /** Replaces what is there. Default: false. */
  readonly force?: boolean | undefined;
}

export interface ExtractedFile {
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
  readonly executable: boolean;
}

/**
 * Takes files out of a bundle. Each appears under its name when all of it is there, was verified and is on the disk; nothing is
 * written outside of the folder, through a link, or over what is there, unless `force` says so.
 *
 * @throws EdgeBundleError NOT_FOUND for names that the bundle does not have, FILE_FAILED where something is there already (both
 *   before anything is written), DIGEST_MISMATCH, SIZE_MISMATCH, BUNDLE_INVALID, NO_SPACE, ABORTED
 */
export async function extractFiles(options: ExtractOptions): Promise<readonly ExtractedFile[]> {
  const { bundle, out, names, force = false, signal } = options;
  const files = chosen(bundle.document.files ?? [], names);
  try {
    await mkdir(out, { recursive: true });
  } catch (error) {
    throw fileError(error, `cannot make the folder '${out}'`);
  }
  if (!force) await ensureFree(files, out);
  const extracted: ExtractedFile[] = [];
  for (const file of files) {
    throwIfAborted(signal);
    const { name, content, executable } = file;
    const path = join(out, name);
    await extract(bundle, file, { path, force, signal });
    extracted.push({ name, path, bytes: content.size, executable });
  }
  return extracted;
}

function chosen(files: readonly BundleFile[], names: readonly string[] | undefined): readonly BundleFile[] {
  if (names === undefined || names.length === 0) return files;
  const failures = names
    .filter((name) => !files.some((file) => file.name === name))
    .map(
      (name) =>
        new EdgeBundleError('NOT_FOUND', `the bundle has no file '${name}'`, {
          hint: 'edge-bundle inspect lists its files.',
        }),
    );
  if (failures.length > 0)
    throw combineFailures('NOT_FOUND', `the bundle lacks ${failures.length} of the files`, failures);
  return files.filter(({ name }) => names.includes(name));
}

async function ensureFree(files: readonly BundleFile[], out: string): Promise<void> {
  const failures: EdgeBundleError[] = [];
  for (const { name } of files) {
    try {
      await lstat(join(out, name));
      failures.push(occupied(join(out, name)));
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT') throw fileError(error, `cannot look at '${join(out, name)}'`);
    }
  }
  if (failures.length > 0) throw combineFailures('FILE_FAILED', `nothing was written to '${out}'`, failures);
}

interface Place extends OperationOptions {
  readonly path: string;
  readonly force: boolean;
}

async function extract(bundle: ReadOnlyContentStore, file: BundleFile, { path, force, signal }: Place): Promise<void> {
  const { content, executable } = file;
  const target = { mediaType: mediaTypes.octetStream, ...content };
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    const handle = await open(temporary, 'wx', executable ? 0o777 : 0o666);
    try {
      const source = await bundle.fetch(target, { signal });
      for await (const chunk of verified(target, bytesOf(source, signal))) await handle.writeFile(chunk);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await publish(temporary, path, force);
  } catch (error) {
    await rm(temporary, { force: true });
    if (isEdgeBundleError(error)) throw error.about(file.name);
    throw fileError(error, `cannot write '${path}'`);
  }
}

/** A rename would replace what somebody has put there in the meantime; a link does not. */
async function publish(temporary: string, path: string, force: boolean): Promise<void> {
  if (force) {
    await rename(temporary, path);
  } else {
    try {
      await link(temporary, path);
    } catch (error) {
      if (systemErrorCode(error) === 'EEXIST') throw occupied(path);
      if (!isLinkless(error)) throw error;
      await rename(temporary, path);
      await syncFolder(join(path, '..'));
      return;
    }
    await rm(temporary);
  }
  await syncFolder(join(path, '..'));
}

/** FAT and some network file systems have no links. */
function isLinkless(error: unknown): boolean {
  return ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(systemErrorCode(error) ?? '');
}

function occupied(path: string): EdgeBundleError {
  return new EdgeBundleError('FILE_FAILED', `'${path}' is there already`, {
    hint: 'Choose another folder, or replace it: --force.',
  });
}
