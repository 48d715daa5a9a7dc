import type { BundleTrust } from '../bundle/read-head.ts';
import { EdgeBundleError, isEdgeBundleError } from '../errors.ts';
import type { PublicKey } from '../trust/public-key.ts';
import { trustOf } from '../trust/trust-policy.ts';

/** The keys that hosts check content with, once they have the ISO. */
export interface HostKeys {
  readonly keys: readonly PublicKey[];
  /** Where they come from, for messages. */
  readonly from: string;
}

/**
 * What a bundle has to satisfy before it goes onto an ISO: whatever is asked for here, and what the keys ask for that go with it.
 * Content that the first boot would refuse is refused where it can still be signed.
 */
export function isoTrust(trust: BundleTrust | undefined, hosts: HostKeys | undefined): BundleTrust | undefined {
  const hostTrust = hosts === undefined ? undefined : trustOf({ keys: hosts.keys });
  if (hosts === undefined || hostTrust === undefined) return trust;
  return {
    authenticate: (documentBytes, signatures) => {
      trust?.authenticate(documentBytes, signatures);
      try {
        hostTrust.authenticate(documentBytes, signatures);
      } catch (error) {
        if (!isEdgeBundleError(error)) throw error;
        throw new EdgeBundleError(
          error.code,
          `hosts would refuse it, for the key in '${hosts.from}': ${error.message}`,
          {
            hint: "Sign the bundle with that key's private key (edge-bundle sign), or put the key on the ISO that it is signed for.",
            cause: error,
          },
        );
      }
    },
    admit: (document) => trust?.admit(document),
  };
}
