import { readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';

import { systemErrorCode } from '../../errors.ts';
import { fileError } from '../../files/file-error.ts';
import { digestOfFiles, readFolderFiles } from '../folder-files.ts';
import { packageFiles, readPackageName } from './package-name.ts';
import { combineProblems, problem } from '../problems.ts';
import type { ManifestSet, PackageInput } from '../profile-kinds.ts';
import { manifestProblems } from './text-input.ts';

/**
 * Reads a folder: a pack (it has a `pack.json`), a Helm chart (it has a `Chart.yaml`), or manifests: all `*.yaml`,
 * `*.yml` and `*.json` files in it and in the folders in it.
 *
 * @throws EdgeBundleError PROFILE_INVALID, all problems together; FILE_FAILED
 */
export async function readFolderInput(folder: string): Promise<ManifestSet | PackageInput> {
  for (const { kind, file } of packageFiles) {
    const path = join(folder, file);
    const bytes = await readIfThere(path);
    if (bytes === undefined) continue;
    const names = readPackageName(kind, bytes, `'${path}'`);
    return { kind, ...names, file: folder, source: 'folder', digest: undefined };
  }
  return readManifests(folder);
}

async function readManifests(folder: string): Promise<ManifestSet> {
  const found = await readFolderFiles(folder, (path) => /\.(ya?ml|json)$/i.test(path));
  const files = found.map(({ path, bytes }) => ({ path, text: bytes.toString('utf8') }));
  const problems = files.flatMap(({ path, text }) => manifestProblems(text, `'${join(folder, path)}'`));
  if (problems.length > 0) throw combineProblems(`'${folder}'`, problems);
  if (files.length === 0) {
    throw problem(`'${folder}'`, 'holds no pack.json, no Chart.yaml, and no *.yaml, *.yml or *.json');
  }
  const name = basename(resolve(folder));
  return { kind: 'manifests', name, version: undefined, file: folder, digest: digestOfFiles(found), files };
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw fileError(error, `cannot read '${path}'`);
  }
}
