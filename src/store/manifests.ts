import type { Descriptor } from '../content/descriptor.ts';
import type { Digest } from '../content/digest.ts';
import { detectManifestType, type Manifest } from '../content/manifest.ts';
import { isManifest } from '../content/media-types.ts';
import { maxManifestBytes } from '../content/verify.ts';
import { EdgeBundleError } from '../errors.ts';

/** @throws EdgeBundleError CONTENT_TOO_LARGE where `expected` is a manifest that no registry would take */
export function ensureManifestSize({ mediaType, digest, size }: Descriptor): void {
  if (!isManifest(mediaType) || size <= maxManifestBytes) return;
  throw new EdgeBundleError(
    'CONTENT_TOO_LARGE',
    `${digest} (${mediaType}) has ${size} bytes; a manifest has at most ${maxManifestBytes}`,
  );
}

/** The descriptor of stored bytes that are a manifest by what they say themselves; undefined for other content. */
export function describeManifest(digest: Digest, bytes: Uint8Array): Descriptor | undefined {
  const mediaType = detectManifestType(bytes);
  return mediaType !== undefined && isManifest(mediaType) ? { mediaType, digest, size: bytes.byteLength } : undefined;
}

/** A manifest as the list of referrers names it (OCI distribution-spec v1.1, "Listing Referrers"). */
export function describeReferrer(target: Descriptor, manifest: Manifest): Descriptor {
  const { mediaType, digest, size } = target;
  const artifactType = manifest.artifactType ?? (manifest.kind === 'manifest' ? manifest.config.mediaType : undefined);
  return {
    mediaType,
    digest,
    size,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(manifest.annotations === undefined ? {} : { annotations: manifest.annotations }),
  };
}
