import { versionTag } from '../artifact/version-tag.ts';
import type { BundleChart } from '../bundle/bundle-document.ts';
import { type Digest, digestHex } from '../content/digest.ts';
import { EdgeBundleError } from '../errors.ts';
import { formatReference, isRepositoryName, isTag, type Reference } from '../oci-client/reference.ts';

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
 * Where a chart or pack goes: `<project>/charts/<name>` or `<project>/archive/<name>`, with its version as the tag, wherever
 * it came from: this is where whoever installs it looks for it.
 *
 * @throws EdgeBundleError REFERENCE_INVALID where the result is not a repository's name with a tag
 */
export function targetChart(
  project: string,
  { kind, name, version }: Pick<BundleChart, 'kind' | 'name' | 'version'>,
): { readonly repository: string; readonly tag: string } {
  const repository = `${project}/${kind === 'pack' ? 'archive' : 'charts'}/${name}`;
  const tag = versionTag(version);
  if (isRepositoryName(repository) && isTag(tag)) return { repository, tag };
  throw new EdgeBundleError(
    'REFERENCE_INVALID',
    `${kind} '${name}' ${version} has no place in project '${project}': '${repository}:${tag}' is not the name of a repository with a tag`,
    { hint: 'A name is in lower case and has at most 255 characters with the project, a version at most 128.' },
  );
}

/**
 * The tag of an image that is only known by its digest. Nothing resolves it: it keeps the image from being collected
 * as untagged. It must not be `sha256-<hex>`: that is the referrers tag (OCI distribution-spec v1.1).
 */
export function keepAliveTag(digest: Digest): string {
  return `${keepAlivePrefix}${digestHex(digest).slice(0, keepAliveHexDigits)}`;
}
