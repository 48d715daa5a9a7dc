import { type Digest, digestOf } from '../content/digest.ts';
import { EdgeBundleError } from '../errors.ts';

/** How big the file with the signatures is, however many there are: with its tar header it fills 16 KiB. */
export const signatureFileBytes = 16 * 1024 - 512;

/** Twenty signatures of RSA keys with 4096 bits would fit. */
export const maxSignatures = 16;

/** What a signature is made with; the names say all of it. */
const signatureAlgorithms = ['rsa-pkcs1-sha256', 'ecdsa-p256-sha256', 'ed25519'] as const;

export type SignatureAlgorithm = (typeof signatureAlgorithms)[number];

/** A signature over the bytes of `bundle.json`. */
export interface BundleSignature {
  readonly algorithm: SignatureAlgorithm;
  /** SHA-256 of the public key's SubjectPublicKeyInfo in DER (RFC 5280, section 4.1). */
  readonly keyId: Digest;
  readonly value: Buffer;
}

const firstLine = 'edge-bundle signatures 1';

/**
 * `bundle.json.sig` (docs/bundle-format.md): lines of text, in the order of the key ids, then line ends up to its fixed size.
 *
 * @param bundle the digest of `bundle.json`
 * @throws EdgeBundleError UNSUPPORTED for more signatures than fit
 */
export function encodeSignatureFile(bundle: Digest, signatures: readonly BundleSignature[]): Buffer {
  const lines = signatures
    .toSorted((one, other) => (one.keyId < other.keyId ? -1 : 1))
    .map(({ algorithm, keyId, value }) => `signature ${algorithm} ${keyId} ${value.toString('base64')}\n`);
  const covered = [`${firstLine}\n`, `bundle ${bundle}\n`, ...lines].join('');
  const text = `${covered}end ${digestOf(covered)}\n`;
  if (signatures.length > maxSignatures || text.length > signatureFileBytes) {
    throw new EdgeBundleError('UNSUPPORTED', `${signatures.length} signatures do not fit into a bundle`, {
      hint: 'Replace those that are there: sign --replace.',
    });
  }
  return Buffer.from(text.padEnd(signatureFileBytes, '\n'), 'latin1');
}

const ownerPattern = /^bundle (?<owner>sha256:[0-9a-f]{64})$/;
const signaturePattern = new RegExp(
  `^signature (?<algorithm>${signatureAlgorithms.join('|')}) (?<keyId>sha256:[0-9a-f]{64}) (?<base64>[A-Za-z0-9+/]+=*)$`,
);

/**
 * The signatures in `bundle.json.sig`. Whether they are good is not known from it.
 *
 * @throws EdgeBundleError SIGNATURE_INVALID where it is damaged, or is that of another bundle
 */
export function decodeSignatureFile(content: Buffer, bundle: Digest): BundleSignature[] {
  const lines = content.subarray(0, signatureFileBytes).toString('latin1').trimEnd().split('\n');
  const owner = ownerPattern.exec(lines[1] ?? '')?.groups?.owner as Digest | undefined;
  const signatures = lines.slice(2, -1).map(parseSignature);
  // It has one form: order, digest at the end and every white space are compared with it.
  if (owner === undefined || !hasOneEach(signatures) || !encodeSignatureFile(owner, signatures).equals(content)) {
    throw damaged();
  }
  if (owner === bundle) return signatures;
  throw new EdgeBundleError('SIGNATURE_INVALID', `the bundle's signatures are those of ${owner}, not of ${bundle}`, {
    hint: 'They were taken from another bundle, or bundle.json was changed. Get the bundle from its maker again.',
  });
}

function parseSignature(line: string): BundleSignature {
  const { algorithm, keyId, base64 = '' } = signaturePattern.exec(line)?.groups ?? {};
  if (algorithm === undefined) throw damaged();
  return {
    algorithm: algorithm as SignatureAlgorithm,
    keyId: keyId as Digest,
    value: Buffer.from(base64, 'base64'),
  };
}

function hasOneEach(signatures: readonly BundleSignature[]): boolean {
  return signatures.length <= maxSignatures && new Set(signatures.map(({ keyId }) => keyId)).size === signatures.length;
}

function damaged(): EdgeBundleError {
  return new EdgeBundleError('SIGNATURE_INVALID', "the bundle's signatures are damaged", {
    hint: 'Copy the bundle again; where signing it was interrupted, sign it again.',
  });
}
