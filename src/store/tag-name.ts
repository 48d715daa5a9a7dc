import type { Descriptor } from '../content/descriptor.ts';
import { isDigest } from '../content/digest.ts';
import { EdgeBundleError } from '../errors.ts';

/**
 * The name that `reference` gives to `target`; undefined where it is the target's digest, which names it already.
 *
 * @throws EdgeBundleError REFERENCE_INVALID for an empty name and for the digest of other content
 */
export function tagName(target: Descriptor, reference: string): string | undefined {
  if (reference === target.digest) return undefined;
  if (reference !== '' && !isDigest(reference)) return reference;
  throw new EdgeBundleError('REFERENCE_INVALID', `${target.digest} cannot be tagged as '${reference}'`, {
    hint: 'Give a name such as 1.27 or docker.io/library/nginx:1.27.',
  });
}
