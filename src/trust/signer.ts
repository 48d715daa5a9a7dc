import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';

import { EdgeBundleError } from '../errors.ts';
import { registerSecret } from '../redaction.ts';
import { hashOf, type PublicKey, publicKeyOf } from './public-key.ts';
import type { KeyText } from './read-public-keys.ts';

/** What makes a signature: a private key, or a device or service that keeps one. */
export interface Signer {
  readonly publicKey: PublicKey;
  /** The signature over exactly these bytes, as `publicKey.algorithm` has it. */
  sign(bytes: Uint8Array): Buffer | Promise<Buffer>;
}

const privateBlock = /^-----BEGIN (?<label>[A-Z0-9 ]*PRIVATE KEY)-----[\s\S]+?-----END \k<label>-----/gm;
const passphraseHint = 'Give its passphrase with --passphrase-file, or in EDGE_BUNDLE_KEY_PASSPHRASE.';

/**
 * A private key in PEM: PKCS #8, PKCS #1 or SEC 1, encrypted or not.
 *
 * @throws EdgeBundleError KEY_INVALID
 */
export function readSigner({ name, text }: KeyText, passphrase?: string): Signer {
  registerSecret(text);
  if (passphrase !== undefined) registerSecret(passphrase);
  const key = parsePrivateKey({ name, text }, passphrase);
  const publicKey = publicKeyOf(createPublicKey(key), name);
  return { publicKey, sign: (bytes) => sign(hashOf(publicKey.algorithm), bytes, key) };
}

/** A signature that was made elsewhere, where the private key is. */
export function detachedSigner(publicKey: PublicKey, signature: Buffer): Signer {
  return { publicKey, sign: () => signature };
}

/** The one private key in a text; which kind it is, is not looked at. @throws EdgeBundleError KEY_INVALID */
export function parsePrivateKey({ name, text }: KeyText, passphrase?: string): KeyObject {
  const [block, ...others] = [...text.matchAll(privateBlock)].map(([pem]) => pem);
  if (block === undefined || others.length > 0) {
    throw new EdgeBundleError(
      'KEY_INVALID',
      `'${name}' has ${block === undefined ? 'no' : 'more than one'} private key`,
      {
        hint: 'Give a private key in PEM: openssl genpkey -algorithm ed25519 -out private.pem makes one.',
      },
    );
  }
  return privateKeyOf(name, block, passphrase);
}

function privateKeyOf(name: string, pem: string, passphrase: string | undefined): KeyObject {
  const isEncrypted = pem.includes('ENCRYPTED');
  if (isEncrypted && passphrase === undefined) {
    throw new EdgeBundleError('KEY_INVALID', `the private key in '${name}' is encrypted`, { hint: passphraseHint });
  }
  try {
    return createPrivateKey({ key: pem, passphrase });
  } catch {
    throw isEncrypted
      ? new EdgeBundleError('KEY_INVALID', `the private key in '${name}' cannot be decrypted`, {
          hint: `The passphrase is another one, or the file is damaged. ${passphraseHint}`,
        })
      : new EdgeBundleError('KEY_INVALID', `the private key in '${name}' cannot be read`, {
          hint: 'It is damaged, or of a kind that OpenSSL does not know.',
        });
  }
}
