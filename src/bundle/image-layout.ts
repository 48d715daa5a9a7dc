import { type Digest, digestHex } from '../content/digest.ts';
import { mediaTypes } from '../content/media-types.ts';
import { type BundleDocument, namedContents } from './bundle-document.ts';

/** The file that marks a folder as an OCI image layout (OCI image-spec v1.1, image-layout.md, "oci-layout file"). */
export const ociLayoutFile = { path: 'oci-layout', bytes: Buffer.from('{"imageLayoutVersion":"1.0.0"}') } as const;

export const indexPath = 'index.json';
export const documentPath = 'bundle.json';
export const signaturePath = 'bundle.json.sig';

export function blobPath(digest: Digest): string {
  return `blobs/sha256/${digestHex(digest)}`;
}

/** `index.json`: each image, chart, attachment and file under its reference (image-spec v1.1, annotations.md, `org.opencontainers.image.ref.name`). */
export function encodeIndex(document: BundleDocument): Buffer {
  const manifests = namedContents(document).map(({ mediaType, digest, size, reference }) => ({
    mediaType,
    digest,
    size,
    annotations: { 'org.opencontainers.image.ref.name': reference },
  }));
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }), 'utf8');
}
