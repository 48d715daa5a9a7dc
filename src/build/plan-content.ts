import { arrangeBlobs, listBlobs } from '../bundle/arrange-blobs.ts';
import type { BaseContent } from '../bundle/bundle-base.ts';
import type { BundleBlob } from '../bundle/bundle-document.ts';
import type { Descriptor } from '../content/descriptor.ts';
import type { Digest } from '../content/digest.ts';
import { collectGraph, type Graph, type GraphOptions } from '../content/graph.ts';
import type { ContentStore, Fetcher, ReadOnlyContentStore } from '../content/store.ts';
import { EdgeBundleError } from '../errors.ts';
import type { BlobSupply, PlannedBlob } from './blob-supply.ts';
import { Readable } from 'node:stream';

/** The graph of an image, and where its content can be fetched. */
export interface SourcedGraph {
  readonly reference: string;
  readonly source: ReadOnlyContentStore;
  readonly graph: Graph;
  /** Nothing of it is left to a base: it has to be in the bundle. */
  readonly isAlwaysCarried?: boolean | undefined;
}

export interface ContentPlan {
  /** All blobs of the bundle, in their order. */
  readonly blobs: BundleBlob[];
  /** To be fetched in any order. */
  readonly stored: readonly PlannedBlob[];
  /** To be fetched one after the other, in this order. */
  readonly compressed: readonly PlannedBlob[];
  /** What the images have, each taken by itself. */
  readonly referencedBytes: number;
  /** Configs and layers that the base has, in the order in which the images need them. */
  readonly leftOut: readonly Descriptor[];
}

export interface CollectOptions extends GraphOptions {
  /** Where manifests are read. Default: the source. */
  readonly manifests?: Fetcher | undefined;
}

/** @throws EdgeBundleError UNSUPPORTED for digests that a bundle cannot hold, and what `collectGraph` throws */
export async function collectImage(
  reference: string,
  source: ReadOnlyContentStore,
  root: Descriptor,
  options: CollectOptions,
): Promise<SourcedGraph> {
  const graph = await collectGraph(options.manifests ?? source, root, options);
  for (const { digest } of [...graph.manifests.map(({ descriptor }) => descriptor), ...graph.blobs]) {
    if (digest.startsWith('sha256:')) continue;
    throw new EdgeBundleError('UNSUPPORTED', `${digest}: a bundle holds content with sha256 digests only`);
  }
  return { reference, source, graph };
}

/**
 * Decides what the bundle holds, in which order and how; and fetches the small content that comes first, manifests and
 * configs, into `metadata`.
 *
 * Manifests and small blobs come first and are compressed together. Layers follow in the order of the images: those that
 * are compressed already as they are, then those that are not. What `base` has is left out, but for manifests.
 */
export async function planContent(
  images: readonly SourcedGraph[],
  metadata: ContentStore,
  supply: BlobSupply,
  base?: Pick<BaseContent, 'has'>,
): Promise<ContentPlan> {
  const manifests = new Map<Digest, Descriptor>();
  const planned = new Map<Digest, PlannedBlob>();
  const alwaysCarried = new Set<Digest>();
  let referencedBytes = 0;
  for (const { reference, source, graph, isAlwaysCarried = false } of images) {
    for (const { descriptor, bytes } of graph.manifests) {
      referencedBytes += descriptor.size;
      if (manifests.has(descriptor.digest)) continue;
      manifests.set(descriptor.digest, descriptor);
      if (!(await metadata.exists(descriptor))) await metadata.push(descriptor, Readable.from([bytes]));
    }
    for (const blob of graph.blobs) {
      referencedBytes += blob.size;
      if (isAlwaysCarried) alwaysCarried.add(blob.digest);
      const known = planned.get(blob.digest);
      if (known === undefined) planned.set(blob.digest, { blob, source, wantedBy: reference });
      else if (known.blob.size !== blob.size) throw differentSizes(known, blob, reference);
    }
  }

  const blobs = [...planned.values()].filter(({ blob: { digest } }) => !manifests.has(digest));
  const isLeftOut = ({ blob }: PlannedBlob): boolean => base?.has(blob) === true && !alwaysCarried.has(blob.digest);
  const arranged = arrangeBlobs(blobs.filter((blob) => !isLeftOut(blob)));
  const { small, stored, compressed } = arranged;
  await supply.deliverAll(small, metadata);
  return {
    blobs: listBlobs(manifests.values(), arranged),
    stored,
    compressed,
    referencedBytes,
    leftOut: blobs.filter(isLeftOut).map(({ blob }) => blob),
  };
}

function differentSizes(known: PlannedBlob, blob: Descriptor, reference: string): EdgeBundleError {
  return new EdgeBundleError(
    'CONTENT_INVALID',
    `${blob.digest} has ${known.blob.size} bytes in ${known.wantedBy} and ${blob.size} in ${reference}; one of them is wrong`,
  );
}
