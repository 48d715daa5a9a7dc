/** Media types of OCI image-spec v1.1 and of Docker's image manifest v2 schema 2. */
export const mediaTypes = {
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar',
  ociLayerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  ociLayerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  ociEmpty: 'application/vnd.oci.empty.v1+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerManifestList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayerGzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  octetStream: 'application/octet-stream',
} as const;

const manifestTypes: ReadonlySet<string> = new Set([mediaTypes.ociManifest, mediaTypes.dockerManifest]);
const indexTypes: ReadonlySet<string> = new Set([mediaTypes.ociIndex, mediaTypes.dockerManifestList]);

/** Whether content of this type is an image manifest or an artifact manifest. */
export function isImageManifest(mediaType: string): boolean {
  return manifestTypes.has(mediaType);
}

/** Whether content of this type is an image index or a Docker manifest list. */
export function isIndex(mediaType: string): boolean {
  return indexTypes.has(mediaType);
}

/** Whether content of this type is stored by a registry as a manifest, and not as a blob. */
export function isManifest(mediaType: string): boolean {
  return isImageManifest(mediaType) || isIndex(mediaType);
}

/** What to send as `Accept` when asking for a manifest, most wanted first. */
export const manifestAccept: readonly string[] = [
  mediaTypes.ociIndex,
  mediaTypes.ociManifest,
  mediaTypes.dockerManifestList,
  mediaTypes.dockerManifest,
];

/**
 * Whether content of this type is compressed already, as far as its name tells: the structured suffixes `+gzip`
 * and `+zstd` (OCI image-spec v1.1, layer.md), Docker's `.gzip`, and the usual archive endings.
 */
export function isCompressed(mediaType: string): boolean {
  return /(\+|\.|\/|-)(gzip|gz|tgz|zstd|zst|zip|xz|bzip2|bz2|br)$/.test(mediaType);
}
