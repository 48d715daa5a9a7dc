import { createHash, type Hash } from 'node:crypto';

import { EdgeBundleError } from '../errors.ts';

/** A content digest, `<algorithm>:<hex>` (OCI image-spec v1.1, descriptor.md, "Digests"). */
export type Digest = `${DigestAlgorithm}:${string}`;
export type DigestAlgorithm = 'sha256' | 'sha512';

const hexLengths: Readonly<Record<DigestAlgorithm, number>> = { sha256: 64, sha512: 128 };

/** Whether `text` is a digest of a registered algorithm with the right number of lower-case hex digits. */
export function isDigest(text: string): text is Digest {
  const colon = text.indexOf(':');
  const algorithm = text.slice(0, colon);
  if (algorithm !== 'sha256' && algorithm !== 'sha512') return false;
  const hex = text.slice(colon + 1);
  return hex.length === hexLengths[algorithm] && /^[0-9a-f]+$/.test(hex);
}

/** `text` as a digest. @throws EdgeBundleError CONTENT_INVALID */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new EdgeBundleError(
    'CONTENT_INVALID',
    `'${text.slice(0, 160)}' is not a digest: expected sha256:<64 hex digits> or sha512:<128 hex digits>`,
  );
}

export function digestAlgorithm(digest: Digest): DigestAlgorithm {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256';
}

export function digestHex(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1);
}

/** The digest of `bytes`. */
export function digestOf(bytes: Uint8Array | string, algorithm: DigestAlgorithm = 'sha256'): Digest {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
}

/** A hash that is fed piece by piece and then tells the digest. */
export class Digester {
  readonly #algorithm: DigestAlgorithm;
  readonly #hash: Hash;

  constructor(algorithm: DigestAlgorithm = 'sha256') {
    this.#algorithm = algorithm;
    this.#hash = createHash(algorithm);
  }

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }

  /** Ends the hash; call it once. */
  digest(): Digest {
    return `${this.#algorithm}:${this.#hash.digest('hex')}`;
  }
}
