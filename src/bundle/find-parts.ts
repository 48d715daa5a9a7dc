import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { EdgeBundleError, systemErrorCode } from '../errors.ts';
import { fileError } from '../files/file-error.ts';

const partName = /^(?<base>.+)_part(?<number>\d{2,})$/s;
const bundleEnding = '.tar.zst';

/** The files of a bundle: itself, or its parts. */
export interface FoundFiles {
  /** In order. Some may be missing: see `firstMissingPart`. */
  readonly paths: readonly string[];
  /** What the parts' paths have before `_part00`; undefined where the bundle is one file. */
  readonly base?: string | undefined;
}

/**
 * The ending of part `index` as `split --numeric-suffixes` names it: two digits up to 89, then 9000 to 9899,
 * then 990000 and on: longer names sort behind shorter ones.
 */
export function partSuffix(index: number): string {
  let [digits, first, count] = [2, 0, 90];
  for (;;) {
    if (index < first + count) {
      const prefix = '9'.repeat(digits / 2 - 1);
      return `_part${prefix}${String(index - first).padStart(digits - prefix.length, '0')}`;
    }
    [digits, first, count] = [digits + 2, first + count, count * 10];
  }
}

/** The name of the file that `name` is a part of; undefined where it is not named as a part. */
export function baseOfPart(name: string): string | undefined {
  return partName.exec(name)?.groups?.base;
}

/** The path that parts have before `_part00`; any other path as it is. */
export function withoutPartSuffix(path: string): string {
  const base = baseOfPart(basename(path));
  return base === undefined ? path : join(dirname(path), base);
}

/**
 * @param path a file; the name that parts have before `_part00`; any one of the parts; or a folder with one bundle in it
 * @throws EdgeBundleError FILE_FAILED
 */
export async function findBundleFiles(path: string): Promise<FoundFiles> {
  const info = await statOrUndefined(path);
  if (info?.isDirectory() === true) return findBundleFiles(await theBundleIn(path));
  const name = basename(path);
  const base = baseOfPart(name) ?? name;
  if (info !== undefined && base === name) return { paths: [path] };
  const parts = await partsOf(dirname(path), base);
  if (parts.length > 0) return { paths: parts, base: join(dirname(path), base) };
  throw new EdgeBundleError('FILE_FAILED', `there is no bundle '${path}', and no parts of one ('${base}_part00', …)`, {
    hint: 'Check the path.',
  });
}

/** The paths of all files in `folder` that are named as parts of `base`, in the order of split. */
export async function partsOf(folder: string, base: string): Promise<string[]> {
  const names = (await namesIn(folder)).filter((name) => baseOfPart(name) === base);
  return names.sort().map((name) => join(folder, name));
}

async function theBundleIn(folder: string): Promise<string> {
  const names = await namesIn(folder);
  const bundles = new Set<string>();
  for (const name of names) {
    const base = baseOfPart(name) ?? name;
    if (base.endsWith(bundleEnding)) bundles.add(base);
  }
  const [bundle, ...others] = bundles;
  if (bundle === undefined || others.length > 0) {
    throw new EdgeBundleError(
      'FILE_FAILED',
      `'${folder}' holds ${bundles.size} bundles; a folder with exactly one, or the bundle itself, is expected`,
      { hint: 'Name the bundle, a file core-….tar.zst or its parts ….tar.zst_part00.' },
    );
  }
  return join(folder, bundle);
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    throw fileError(error, `cannot read the folder '${folder}'`);
  }
}

async function statOrUndefined(path: string): Promise<Awaited<ReturnType<typeof stat>> | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw fileError(error, `cannot read '${path}'`);
  }
}
