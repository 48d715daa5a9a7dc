import { type Digest, digestHex } from '../content/digest.ts';
import { EdgeBundleError } from '../errors.ts';
import { formatReference, isRepositoryName, type Reference } from '../oci-client/reference.ts';

const keepAlivePrefix = 'by-digest-';
const keepAliveHexDigits = 64;

/**
 * Where an image goes: `<project>/<original registry>/<repository>`, so that two registries never share a name.
 * What a repository's name cannot hold of a registry's is replaced: `localhost:5000` becomes `localhost-5000`, `[fd00::1]`
 * `ipv6-fd00--1`.
 *
 * @throws EdgeBundleError REFERENCE_INVALID where the result is not a repository's name (at most 255 characters)
 */
export function targetRepository(project: string, reference: Reference): string {
  const registry = reference.registry
    .replace(/^\[(.*)\]/, 'ipv6-$1')
    .replaceAll(':', '-')
    .replace(/-+$/, '');
  const name = `${project}/${registry}/${reference.repository}`;
  if (isRepositoryName(name)) return name;
  throw new EdgeBundleError(
    'REFERENCE_INVALID',
    `'${formatReference(reference)}' has no place in project '${project}': '${name}' is not the name of a repository`,
    { hint: 'A name has at most 255 characters, in lower case; the project comes first and counts.' },
  );
}

/**
 * The tag of an image that is only known by its digest. Nothing resolves it: it keeps the image from being collected
 * as untagged. It must not be `sha256-<hex>`: that is the referrers tag (OCI distribution-spec v1.1).
 */
export function keepAliveTag(digest: Digest): string {
  return `${keepAlivePrefix}${digestHex(digest).slice(0, keepAliveHexDigits)}`;
}
