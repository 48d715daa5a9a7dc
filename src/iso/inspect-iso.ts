import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { posix } from 'node:path';
import { pipeline } from 'node:stream/promises';

import { BundleReader } from '../bundle/bundle-reader.ts';
import { baseOfPart, partSuffix } from '../bundle/find-parts.ts';
import { PartFiles } from '../bundle/part-files.ts';
import { decodePartList, type PartList } from '../bundle/part-list.ts';
import type { BundleTrust } from '../bundle/read-head.ts';
import { verifyBundle } from '../bundle/verify-bundle.ts';
import { verifyOpenParts } from '../bundle/verify-parts.ts';
import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError, isEdgeBundleError, throwIfAborted } from '../errors.ts';
import { fileError } from '../files/file-error.ts';
import { checksumPath, parseChecksums } from './checksum-file.ts';
import { type IsoFile, type IsoImage, readIsoFile, readIsoImage } from './iso-image.ts';
import type { Xorriso } from './xorriso.ts';

export interface InspectIsoOptions extends OperationOptions {
  readonly xorriso: Xorriso;
  /** What every bundle has to satisfy before anything in it is used. */
  readonly trust?: BundleTrust | undefined;
  /** Called once, with how much will be read at most, in bytes. */
  readonly onStart?: ((bytes: number) => void) | undefined;
  /** Called as bytes have been hashed. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

export interface IsoInspection {
  readonly image: IsoImage;
  readonly bundles: readonly InspectedBundle[];
  /** Of the checksum file; undefined where there is none. */
  readonly checksums: { readonly listed: number; readonly verified: number } | undefined;
  /** Everything that is not as it has to be. */
  readonly failures: readonly EdgeBundleError[];
}

export interface InspectedBundle {
  /** On the ISO, without `_part00`. */
  readonly path: string;
  readonly id: string;
  readonly name: string;
  readonly bytes: number;
  readonly parts: number;
  readonly images: number;
  readonly charts: number;
  /** Whether its parts have checksums beside them. Without, its content was compared with its digests. */
  readonly hasChecksums: boolean;
  /** The ids of the keys that signed it. */
  readonly signatures: readonly string[];
  readonly isVerified: boolean;
}

const bundleEnding = '.zst';
const maxListBytes = 16 * 1024 * 1024;

/**
 * What is on an ISO, read in place and verified: every byte of every bundle, and of every file that a checksum file lists. A bundle
 * that `trust` refuses is among the failures, and not among the bundles.
 *
 * @throws EdgeBundleError FILE_FAILED, ISO_INVALID, ISO_FAILED, ABORTED; what is wrong with bundles and files is in `failures`
 */
export async function inspectIso(path: string, options: InspectIsoOptions): Promise<IsoInspection> {
  const { xorriso, signal, onStart } = options;
  const image = await readIsoImage(path, xorriso, { signal });
  const groups = bundlesOn(image);
  const sums = await readChecksums(image);
  const counted = new Set([
    ...[...groups.values()].flat(),
    ...[...sums.keys()].flatMap((each) => image.files.get(each) ?? []),
  ]);
  onStart?.([...counted].reduce((sum, { size }) => sum + size, 0));

  const failures: EdgeBundleError[] = [];
  const collect = <T>(task: () => Promise<T>): Promise<T | undefined> => collecting(failures, task);
  const bundles: InspectedBundle[] = [];
  /** What has been hashed already. */
  const known = new Map<string, string>();
  for (const [base, files] of groups) {
    const found = await inspectBundle(image, base, files, options, failures);
    if (found === undefined) continue;
    bundles.push(found.bundle);
    for (const { name, sha256 } of found.list?.parts ?? []) {
      if (found.bundle.isVerified) known.set(posix.join(posix.dirname(base), name), sha256);
    }
  }
  let verified = 0;
  for (const [file, sha256] of sums) {
    const isSame = await collect(async () => {
      const actual = known.get(file) ?? (await hashOnIso(image, file, options));
      if (actual !== sha256) throw damaged(file);
      return true;
    });
    if (isSame === true) verified += 1;
  }
  const checksums = image.files.has(checksumPath) ? { listed: sums.size, verified } : undefined;
  return { image, bundles, checksums, failures };
}

/** Bundles and their parts in order, by the paths that they have without `_part00`. */
function bundlesOn({ files }: IsoImage): Map<string, IsoFile[]> {
  const groups = new Map<string, IsoFile[]>();
  for (const file of files.values()) {
    const name = posix.basename(file.path);
    const base = baseOfPart(name) ?? name;
    if (!base.endsWith(bundleEnding)) continue;
    const key = posix.join(posix.dirname(file.path), base);
    groups.set(key, [...(groups.get(key) ?? []), file]);
  }
  // In split's naming a longer name comes later.
  for (const group of groups.values()) {
    group.sort(({ path: one }, { path: other }) => one.length - other.length || (one < other ? -1 : 1));
  }
  return groups;
}

async function inspectBundle(
  image: IsoImage,
  base: string,
  files: readonly IsoFile[],
  options: InspectIsoOptions,
  failures: EdgeBundleError[],
): Promise<{ readonly bundle: InspectedBundle; readonly list: PartList | undefined } | undefined> {
  const { signal, onProgress, trust } = options;
  return collecting(failures, async () => {
    const list = await readList(image, base);
    const extents = files.map(({ path, offset, size }) => ({ path: image.path, name: path, offset, size }));
    if (list === undefined) ensureComplete(base, files);
    const parts = await PartFiles.ofExtents(extents, list);
    try {
      const before = failures.length;
      await collecting(failures, () => verifyOpenParts(parts, { trust, signal, onProgress }));
      const reader = await BundleReader.read(parts, { trust }).catch((error: unknown) => {
        throw isEdgeBundleError(error) ? error.about(`'${base}'`) : error;
      });
      if (list === undefined) failures.push(...(await verifyBundle(reader, { signal, onProgress })).failures);
      const { document, id, bytes } = reader;
      const bundle: InspectedBundle = {
        ...{ path: base, id, bytes, name: document.name, parts: files.length },
        images: document.images.length,
        charts: document.charts.length,
        hasChecksums: list !== undefined,
        signatures: reader.signatures.map(({ keyId }) => keyId),
        isVerified: failures.length === before,
      };
      return { bundle, list };
    } finally {
      await parts.close();
    }
  });
}

async function readList(image: IsoImage, base: string): Promise<PartList | undefined> {
  const path = `${base}.parts.json`;
  const file = image.files.get(path);
  return file === undefined ? undefined : decodePartList(await readIsoFile(image, file, maxListBytes), `'${path}'`);
}

/** What no list is needed to see. */
function ensureComplete(base: string, files: readonly IsoFile[]): void {
  if (files.some(({ path }) => path === base)) return;
  const missing = files.findIndex(({ path }, index) => path !== `${base}${partSuffix(index)}`);
  if (missing < 0) return;
  throw new EdgeBundleError('BUNDLE_PART_MISSING', `part '${base}${partSuffix(missing)}' is missing on the ISO`);
}

async function readChecksums(image: IsoImage): Promise<ReadonlyMap<string, string>> {
  const file = image.files.get(checksumPath);
  if (file === undefined) return new Map();
  return parseChecksums((await readIsoFile(image, file, maxListBytes)).toString('utf8'));
}

async function hashOnIso(image: IsoImage, path: string, { signal, onProgress }: InspectIsoOptions): Promise<string> {
  const file = image.files.get(path);
  if (file === undefined) {
    throw new EdgeBundleError('ISO_INVALID', `'${path}' is in ${checksumPath}, and not on the ISO`);
  }
  const hash = createHash('sha256');
  if (file.size > 0) {
    const stream = createReadStream(image.path, { start: file.offset, end: file.offset + file.size - 1 });
    stream.on('data', (chunk) => onProgress?.(chunk.length));
    try {
      await pipeline(stream, hash, { signal });
    } catch (error) {
      throwIfAborted(signal);
      throw fileError(error, `cannot read '${image.path}'`);
    }
  }
  return hash.digest('hex');
}

/** Notes a failure of content, and goes on; undefined where there was one. */
async function collecting<T>(failures: EdgeBundleError[], task: () => Promise<T>): Promise<T | undefined> {
  try {
    return await task();
  } catch (error) {
    if (isEdgeBundleError(error) && error.code !== 'FILE_FAILED' && error.code !== 'ABORTED') {
      failures.push(...(error.failures.length > 0 ? error.failures : [error]));
      return undefined;
    }
    throw error;
  }
}

function damaged(path: string): EdgeBundleError {
  return new EdgeBundleError('ISO_INVALID', `'${path}' on the ISO is not what its checksum says`, {
    hint: 'Copy the ISO again.',
  });
}
