import { readFile, rm } from 'node:fs/promises';

import { bundleIdentity, decodeBundleDocument } from '../bundle/bundle-document.ts';
import { BundleReader } from '../bundle/bundle-reader.ts';
import { withoutPartSuffix } from '../bundle/find-parts.ts';
import { PartFiles } from '../bundle/part-files.ts';
import { renewPartList } from '../bundle/renew-part-list.ts';
import { readSignedPart } from '../bundle/read-head.ts';
import { type BundleSignature, decodeSignatureFile, encodeSignatureFile } from '../bundle/signature-file.ts';
import { readSignatureEntry, signatureContentPosition } from '../bundle/signature-frame.ts';
import type { Digest } from '../content/digest.ts';
import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError, isEdgeBundleError, systemErrorCode, throwIfAborted } from '../errors.ts';
import { writeFileAtomic } from '../files/atomic-file.ts';
import { fileError } from '../files/file-error.ts';
import { FileLock } from '../files/file-lock.ts';
import { isSignedBy } from './public-key.ts';
import type { Signer } from './signer.ts';
import { trustOf } from './trust-policy.ts';

export interface SignBundleOptions extends OperationOptions {
  readonly signers: readonly Signer[];
  /** Drop the signatures of all other keys, damaged ones too. Default: they stay. */
  readonly replace?: boolean | undefined;
}

export interface SignedBundleResult {
  readonly id: string;
  readonly digest: Digest;
  /** The first of its files. */
  readonly path: string;
  /** All that it has now. */
  readonly signatures: readonly BundleSignature[];
  /** Whether the file was changed: a signature that is there and good is not made again. */
  readonly changed: boolean;
}

/**
 * Signs a finished bundle, or its parts, in place: the bytes of `bundle.json.sig` are overwritten, and no other. They are
 * first written beside it (`<bundle>.signing`), so that a run that is killed in between loses no signature: the next run
 * goes on from there.
 *
 * @param path as for `BundleReader.open`
 * @throws EdgeBundleError what `BundleReader.open` throws; LOCKED; SIGNATURE_INVALID where the signatures that are there are
 *   damaged, or a signer's does not fit its key; UNSUPPORTED where there are too many; NO_SPACE, FILE_FAILED, ABORTED
 */
export async function signBundle(path: string, options: SignBundleOptions): Promise<SignedBundleResult> {
  const files = await PartFiles.open(path);
  try {
    const base = withoutPartSuffix(files.paths[0] ?? path);
    const lock = await FileLock.acquire(`${base}.lock`, { signal: options.signal });
    try {
      return await signLocked(files, `${base}.signing`, options);
    } finally {
      await lock.release();
    }
  } finally {
    await files.close();
  }
}

async function signLocked(
  files: PartFiles,
  pending: string,
  { signers, replace = false, signal }: SignBundleOptions,
): Promise<SignedBundleResult> {
  const { documentBytes, signatureFrame } = await readSignedPart(files);
  decodeBundleDocument(documentBytes);
  const { digest, id } = bundleIdentity(documentBytes);
  const position = signatureContentPosition(signatureFrame);
  let { content: present } = await readSignatureEntry(files, signatureFrame);
  let { list } = files;
  const put = async (content: Buffer): Promise<void> => {
    if (list !== undefined) list = await renewPartList(files, list, { position, present, content, signal });
    await files.overwrite(position, content);
    present = content;
  };
  const unfinished = await readPending(pending, digest);
  if (unfinished !== undefined) await put(unfinished);
  const known = decode(present, digest, replace);

  const keyIds = new Set(signers.map(({ publicKey }) => publicKey.keyId));
  const signatures = replace ? [] : known.filter(({ keyId }) => !keyIds.has(keyId));
  for (const signer of new Map(signers.map((each) => [each.publicKey.keyId, each])).values()) {
    throwIfAborted(signal);
    signatures.push(await signatureOf(signer, documentBytes, known));
  }
  const content = encodeSignatureFile(digest, signatures);
  const changed = !content.equals(present);
  if (changed) {
    await writeFileAtomic(pending, content);
    await put(content);
  }
  await rm(pending, { force: true });
  await ensureAccepted(files, signers);
  return { id, digest, path: files.paths[0] ?? '', signatures: decodeSignatureFile(content, digest), changed };
}

async function signatureOf(
  signer: Signer,
  documentBytes: Buffer,
  known: readonly BundleSignature[],
): Promise<BundleSignature> {
  const { publicKey } = signer;
  const { keyId, algorithm } = publicKey;
  const earlier = known.find((each) => each.keyId === keyId);
  if (earlier !== undefined && isSignedBy(publicKey, documentBytes, earlier)) return earlier;
  const made = { keyId, algorithm, value: await signer.sign(documentBytes) };
  if (isSignedBy(publicKey, documentBytes, made)) return made;
  throw new EdgeBundleError(
    'SIGNATURE_INVALID',
    `the signature is not one by ${keyId} over this bundle's bundle.json`,
    {
      hint: 'Sign exactly the bytes that tar gives for bundle.json, with the private key of that public key.',
    },
  );
}

/** What an earlier run was about to write. */
async function readPending(path: string, bundle: Digest): Promise<Buffer | undefined> {
  try {
    const content = await readFile(path);
    decodeSignatureFile(content, bundle);
    return content;
  } catch (error) {
    // That of another bundle that had this name, or damaged: it has nothing to tell.
    if (isEdgeBundleError(error, 'SIGNATURE_INVALID') || systemErrorCode(error) === 'ENOENT') return undefined;
    throw fileError(error, `cannot read '${path}'`);
  }
}

function decode(content: Buffer, bundle: Digest, replace: boolean): BundleSignature[] {
  try {
    return decodeSignatureFile(content, bundle);
  } catch (error) {
    if (replace) return [];
    if (!isEdgeBundleError(error)) throw error;
    throw new EdgeBundleError(error.code, error.message, {
      hint: 'Copy the bundle again; or drop what is there, and sign it anew: sign --replace.',
      cause: error,
    });
  }
}

async function ensureAccepted({ paths: [path = ''] }: PartFiles, signers: readonly Signer[]): Promise<void> {
  const trust = trustOf({ keys: signers.map(({ publicKey }) => publicKey) });
  await (await BundleReader.open(path, { trust })).close();
}
