import type { Descriptor } from '../content/descriptor.ts';
import { isCompressed } from '../content/media-types.ts';
import type { BundleBlob } from './bundle-document.ts';
import { packedBlobBytes } from './bundle-layout.ts';

/** Blobs by how a bundle holds them, each group in the order in which the images need them. */
export interface ArrangedBlobs<T> {
  /** Compressed together, behind the manifests. */
  readonly small: readonly T[];
  /** Compressed already, and stored as they are. */
  readonly stored: readonly T[];
  /** Compressed, each by itself: they come last. */
  readonly compressed: readonly T[];
}

/** @param blobs no manifest among them, each once, in the order in which the images need them */
export function arrangeBlobs<T extends { readonly blob: Descriptor }>(blobs: Iterable<T>): ArrangedBlobs<T> {
  const small: T[] = [];
  const stored: T[] = [];
  const compressed: T[] = [];
  for (const each of blobs) {
    const { mediaType, size } = each.blob;
    const group = isCompressed(mediaType) ? stored : size <= packedBlobBytes ? small : compressed;
    group.push(each);
  }
  return { small, stored, compressed };
}

/** `blobs` of a bundle's document: the same images give the same list. */
export function listBlobs(
  manifests: Iterable<Descriptor>,
  { small, stored, compressed }: ArrangedBlobs<{ readonly blob: Descriptor }>,
): BundleBlob[] {
  const listed =
    (storage: BundleBlob['storage']) =>
    ({ digest, size }: Descriptor): BundleBlob => ({ digest, size, storage });
  const blobOf = ({ blob }: { readonly blob: Descriptor }): Descriptor => blob;
  return [
    ...[...manifests, ...small.map(blobOf)].map(listed('zstd')),
    ...stored.map(blobOf).map(listed('stored')),
    ...compressed.map(blobOf).map(listed('zstd')),
  ];
}
