import { open } from 'node:fs/promises';

import { EdgeBundleError, systemErrorCode } from '../errors.ts';
import { fileError } from '../files/file-error.ts';
import {
  type BundleDocument,
  bundleIdentity,
  type BundleIdentity,
  decodeBundleDocument,
  maxDocumentBytes,
} from './bundle-document.ts';
import { BundleReader } from './bundle-reader.ts';

/** What a bundle holds, without its content. */
export interface BundleOutline extends BundleIdentity {
  readonly document: BundleDocument;
}

/**
 * The document of a bundle, or a `bundle.json` that was taken out of one and stands for it: no more of a bundle is needed to
 * build a delta on it, or to compare it with another.
 *
 * @param path as for `BundleReader.open`, or a file with the bytes of `bundle.json`
 * @throws EdgeBundleError FILE_FAILED, BUNDLE_INVALID, BUNDLE_PART_MISSING, UNSUPPORTED
 */
export async function readBundleDocument(path: string): Promise<BundleOutline> {
  const bytes = await readBareDocument(path);
  if (bytes !== undefined) return { ...bundleIdentity(bytes), document: decodeBundleDocument(bytes) };
  const bundle = await BundleReader.open(path);
  try {
    const { id, digest, document } = bundle;
    return { id, digest, document };
  } finally {
    await bundle.close();
  }
}

/** Undefined for what does not begin as JSON does: a bundle, its folder, the name of its parts. */
async function readBareDocument(path: string): Promise<Buffer | undefined> {
  try {
    const file = await open(path, 'r');
    try {
      const info = await file.stat();
      const { buffer, bytesRead } = info.isFile()
        ? await file.read(Buffer.alloc(1), 0, 1, 0)
        : { buffer: Buffer.alloc(0), bytesRead: 0 };
      if (bytesRead === 0 || buffer.toString('latin1') !== '{') return undefined;
      if (info.size > maxDocumentBytes) throw tooLarge(path, info.size);
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EISDIR'].includes(systemErrorCode(error) ?? '')) return undefined;
    throw fileError(error, `cannot read '${path}'`);
  }
}

function tooLarge(path: string, bytes: number): EdgeBundleError {
  return new EdgeBundleError(
    'BUNDLE_INVALID',
    `'${path}' has ${bytes} bytes; a bundle.json has at most ${maxDocumentBytes}`,
  );
}
