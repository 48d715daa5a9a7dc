import { open, readFile, stat } from 'node:fs/promises';

import { EdgeBundleError, isEdgeBundleError, systemErrorCode } from '../errors.ts';
import { fileError } from '../files/file-error.ts';
import {
  type BundleDocument,
  bundleIdentity,
  type BundleIdentity,
  decodeBundleDocument,
  maxDocumentBytes,
} from './bundle-document.ts';
import { BundleReader, type OpenBundleOptions } from './bundle-reader.ts';
import type { BundleTrust } from './read-head.ts';
import { type BundleSignature, decodeSignatureFile, signatureFileBytes } from './signature-file.ts';

/** What a bundle holds, without its content. */
export interface BundleOutline extends BundleIdentity {
  readonly document: BundleDocument;
}

/**
 * The document of a bundle, or a `bundle.json` that was taken out of one and stands for it: no more of a bundle is needed to
 * build a delta on it, or to compare it with another.
 *
 * @param path as for `BundleReader.open`, or a file with the bytes of `bundle.json`. The bundle's `bundle.json.sig` is then
 *   looked for beside it, under the same name with `.sig`, where `trust` is given
 * @throws EdgeBundleError FILE_FAILED, BUNDLE_INVALID, BUNDLE_PART_MISSING, SIGNATURE_INVALID, UNSUPPORTED, and what `trust` throws
 */
export async function readBundleDocument(path: string, { trust }: OpenBundleOptions = {}): Promise<BundleOutline> {
  const bytes = await readBareDocument(path);
  if (bytes !== undefined) {
    const identity = bundleIdentity(bytes);
    if (trust !== undefined) authenticate(trust, bytes, await readSignaturesBeside(path, identity), path);
    const document = decodeBundleDocument(bytes);
    trust?.admit(document);
    return { ...identity, document };
  }
  const bundle = await BundleReader.open(path, { trust });
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
      const { buffer } = await file.read(Buffer.alloc(1), 0, 1, 0);
      if (buffer.toString('latin1') !== '{') return undefined;
      const { size } = await file.stat();
      if (size > maxDocumentBytes) throw tooLarge(path, size);
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (['ENOENT', 'EISDIR'].includes(systemErrorCode(error) ?? '')) return undefined;
    throw fileError(error, `cannot read '${path}'`);
  }
}

function authenticate(
  trust: BundleTrust,
  bytes: Buffer,
  signatures: readonly BundleSignature[] | undefined,
  path: string,
): void {
  try {
    trust.authenticate(bytes, signatures ?? []);
  } catch (error) {
    if (signatures !== undefined || !isEdgeBundleError(error, 'SIGNATURE_MISSING')) throw error;
    throw new EdgeBundleError(
      'SIGNATURE_MISSING',
      `beside '${path}' is no '${path}.sig', and a public key is configured`,
      {
        hint: "Give the bundle itself, or take both files out of it: 'tar --zstd -xf BUNDLE bundle.json bundle.json.sig'.",
        cause: error,
      },
    );
  }
}

/** Undefined where there are none. */
async function readSignaturesBeside(path: string, { digest }: BundleIdentity): Promise<BundleSignature[] | undefined> {
  const signaturePath = `${path}.sig`;
  let content: Buffer;
  try {
    const info = await stat(signaturePath);
    // Any other size is damage, and is told so.
    content = info.isFile() && info.size === signatureFileBytes ? await readFile(signaturePath) : Buffer.alloc(0);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw fileError(error, `cannot read '${signaturePath}'`);
  }
  return decodeSignatureFile(content, digest);
}

function tooLarge(path: string, bytes: number): EdgeBundleError {
  return new EdgeBundleError(
    'BUNDLE_INVALID',
    `'${path}' has ${bytes} bytes; a bundle.json has at most ${maxDocumentBytes}`,
  );
}
