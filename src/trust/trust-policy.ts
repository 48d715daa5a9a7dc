import type { BundleTrust } from '../bundle/read-head.ts';
import type { BundleSignature } from '../bundle/signature-file.ts';
import type { Digest } from '../content/digest.ts';
import { EdgeBundleError } from '../errors.ts';
import { isSignedBy, type PublicKey } from './public-key.ts';

/** What a host asks of every bundle. */
export interface TrustPolicy {
  /** One of them has to have signed it; empty where signatures are not asked for. */
  readonly keys: readonly PublicKey[];
  /** The least that its `sourceDateEpoch` has to be, in seconds since 1970: nobody brings back what was replaced. */
  readonly minimumDate?: number | undefined;
}

/** For `BundleReader.open`: undefined where the policy asks for nothing. */
export function trustOf({ keys, minimumDate }: TrustPolicy): BundleTrust | undefined {
  if (keys.length === 0 && minimumDate === undefined) return undefined;
  return {
    authenticate: (documentBytes, signatures) => {
      if (keys.length > 0) signedBy(documentBytes, signatures, keys);
    },
    admit: ({ sourceDateEpoch }) => {
      if (minimumDate !== undefined && sourceDateEpoch < minimumDate) throw outdated(sourceDateEpoch, minimumDate);
    },
  };
}

/** A bundle that was opened, as `BundleReader` opens it. */
export interface SignedBundle {
  readonly layout: { readonly documentBytes: Buffer };
  readonly signatures: readonly BundleSignature[];
}

/**
 * Of a bundle that is open already; `BundleReader.open` with `trustOf` uses nothing in it before it knows.
 *
 * @returns the ids of the keys that signed it
 * @throws EdgeBundleError SIGNATURE_MISSING, SIGNATURE_INVALID, KEY_INVALID where there are no keys
 */
export function ensureSigned({ layout, signatures }: SignedBundle, keys: readonly PublicKey[]): Digest[] {
  return signedBy(layout.documentBytes, signatures, keys);
}

/** One good signature is enough; one of a trusted key that is not good is a lie, whatever the others say. */
function signedBy(documentBytes: Buffer, signatures: readonly BundleSignature[], keys: readonly PublicKey[]): Digest[] {
  if (keys.length === 0) throw new EdgeBundleError('KEY_INVALID', 'there is no public key to check a signature with');
  if (signatures.length === 0) {
    throw new EdgeBundleError('SIGNATURE_MISSING', 'the bundle is not signed, and a public key is configured', {
      hint: "Sign it where it was built: 'edge-bundle sign BUNDLE --private-key FILE'.",
    });
  }
  const good: Digest[] = [];
  for (const signature of signatures) {
    const key = keys.find(({ keyId }) => keyId === signature.keyId);
    if (key === undefined) continue;
    if (!isSignedBy(key, documentBytes, signature)) {
      throw new EdgeBundleError(
        'SIGNATURE_INVALID',
        `the signature by ${signature.keyId} is not one over this bundle's bundle.json`,
        { hint: 'Do not use the bundle: it, or its signature, was changed. Get it from its maker again.' },
      );
    }
    good.push(signature.keyId);
  }
  if (good.length > 0) return good;
  throw new EdgeBundleError(
    'SIGNATURE_INVALID',
    `the bundle was signed by ${idsOf(signatures)}; only ${idsOf(keys)} ${keys.length === 1 ? 'is' : 'are'} trusted here`,
    { hint: 'Get the bundle that was signed for this host, or add the public key of who signed it.' },
  );
}

function idsOf(keys: readonly { readonly keyId: Digest }[]): string {
  const few = keys.slice(0, 3).map(({ keyId }) => keyId);
  return [...few, ...(keys.length > few.length ? [`${keys.length - few.length} more`] : [])].join(', ');
}

function outdated(epoch: number, minimum: number): EdgeBundleError {
  const stated = epoch === 0 ? 'states no date' : `is of ${isoDate(epoch)}`;
  return new EdgeBundleError(
    'BUNDLE_OUTDATED',
    `the bundle ${stated}; ${isoDate(minimum)} is the least that is taken`,
    {
      hint:
        epoch === 0
          ? 'A bundle has the date that SOURCE_DATE_EPOCH has when it is built.'
          : 'Get the newer bundle. Somebody may have put an old one in its place.',
    },
  );
}

function isoDate(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
}
