import { readFile } from 'node:fs/promises';

import { EdgeBundleError } from '../errors.ts';
import { fileError } from '../files/file-error.ts';
import type { PublicKey } from '../trust/public-key.ts';
import { readPublicKeys } from '../trust/read-public-keys.ts';

/** A file with the public keys that hosts check content with, on its way to an ISO. */
export interface ContentKey {
  /** The file's path. */
  readonly file: string;
  readonly bytes: Buffer;
  readonly keys: readonly PublicKey[];
}

/** @throws EdgeBundleError FILE_FAILED; KEY_INVALID for what is no public key in PEM, and where a private one is in the file */
export async function readContentKey(file: string): Promise<ContentKey> {
  const bytes = await readFile(file).catch((error: unknown) => {
    throw fileError(error, `cannot read '${file}'`);
  });
  const text = bytes.toString('utf8');
  // It must not get onto a disk that travels, wherever in the file it stands.
  if (text.includes('PRIVATE KEY')) {
    throw new EdgeBundleError('KEY_INVALID', `'${file}' has a private key; a public one is expected`, {
      hint: 'Keep it secret. openssl pkey -in private.pem -pubout -out public.pem makes the public one.',
    });
  }
  if (!text.includes('-----BEGIN ')) {
    throw new EdgeBundleError('KEY_INVALID', `'${file}' has no public key in PEM`);
  }
  return { file, bytes, keys: readPublicKeys([{ name: file, text }]) };
}
