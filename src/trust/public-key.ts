import { type KeyObject, verify } from 'node:crypto';

import type { BundleSignature, SignatureAlgorithm } from '../bundle/signature-file.ts';
import { type Digest, digestOf } from '../content/digest.ts';
import { EdgeBundleError } from '../errors.ts';

/** A key that says whether a signature is good. */
export interface PublicKey {
  /** SHA-256 of its SubjectPublicKeyInfo in DER (RFC 5280, section 4.1). */
  readonly keyId: Digest;
  readonly algorithm: SignatureAlgorithm;
  readonly key: KeyObject;
}

const leastRsaBits = 2048;
/** What takes longer to check than it takes to sign anything of use. */
const mostRsaBits = 8192;
/** With an exponent of 1, every text would be its own signature. */
const leastRsaExponent = 3n;

/**
 * @param name where it comes from, for errors
 * @throws EdgeBundleError KEY_INVALID for a kind or a length that is not used here
 */
export function publicKeyOf(key: KeyObject, name: string): PublicKey {
  const algorithm = algorithmOf(key, name);
  return { keyId: digestOf(key.export({ type: 'spki', format: 'der' })), algorithm, key };
}

/** Whether `signature` is this key's, over exactly these bytes. */
export function isSignedBy({ algorithm, key }: PublicKey, bytes: Uint8Array, signature: BundleSignature): boolean {
  if (signature.algorithm !== algorithm) return false;
  try {
    return verify(hashOf(algorithm), bytes, key, signature.value);
  } catch {
    // What is no signature at all makes some versions of OpenSSL throw.
    return false;
  }
}

/** As node:crypto wants it: Ed25519 hashes by itself. RSA is PKCS #1 v1.5 and ECDSA is DER by default. */
export function hashOf(algorithm: SignatureAlgorithm): string | null {
  return algorithm === 'ed25519' ? null : 'sha256';
}

function algorithmOf(key: KeyObject, name: string): SignatureAlgorithm {
  const { modulusLength = 0, publicExponent = 0n, namedCurve = '' } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'ed25519') return 'ed25519';
  if (key.asymmetricKeyType === 'ec') {
    if (namedCurve === 'prime256v1') return 'ecdsa-p256-sha256';
    throw unusable(name, `an elliptic curve key of '${namedCurve}', not of P-256`);
  }
  if (key.asymmetricKeyType !== 'rsa')
    throw unusable(name, `a key of the kind '${key.asymmetricKeyType ?? 'unknown'}'`);
  if (modulusLength < leastRsaBits || modulusLength > mostRsaBits) {
    throw unusable(name, `an RSA key of ${modulusLength} bits; ${leastRsaBits} to ${mostRsaBits} are accepted`);
  }
  if (publicExponent < leastRsaExponent) throw unusable(name, 'an RSA key with an exponent that proves nothing');
  return 'rsa-pkcs1-sha256';
}

function unusable(name: string, what: string): EdgeBundleError {
  return new EdgeBundleError('KEY_INVALID', `'${name}' holds ${what}`, {
    hint: 'Use RSA with at least 2048 bits, ECDSA on P-256, or Ed25519.',
  });
}
