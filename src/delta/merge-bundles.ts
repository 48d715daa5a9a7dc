import { Readable } from 'node:stream';

import { type ArrangedBlobs, arrangeBlobs, listBlobs } from '../bundle/arrange-blobs.ts';
import { type BundleDocument, contentDescriptor, namedContents } from '../bundle/bundle-document.ts';
import { type BundlePath, bundlePath } from '../bundle/bundle-path.ts';
import { BundleWriter } from '../bundle/bundle-writer.ts';
import { findFinished, type FinishedBundle } from '../bundle/finished-bundle.ts';
import type { Descriptor } from '../content/descriptor.ts';
import type { Digest } from '../content/digest.ts';
import { collectGraph } from '../content/graph.ts';
import type { OperationOptions } from '../content/store.ts';
import { readContent } from '../content/verify.ts';
import { Copier, type CopyEvent } from '../copy/copier.ts';
import { forEachLimited } from '../copy/for-each-limited.ts';
import { combineFailures, type EdgeBundleError, isEdgeBundleError } from '../errors.ts';
import { MemoryStore } from '../store/memory-store.ts';
import { BundleChain, type ChainedBundle } from './bundle-chain.ts';

export type MergeEvent =
  /** Copying begins: so many bytes are in the bundle; an earlier run left `presentBytes` in place. */
  | { readonly type: 'planned'; readonly path: string; readonly bytes: number; readonly presentBytes: number }
  | CopyEvent;

export interface MergeOptions extends OperationOptions {
  /** A full bundle. Bundles stay the caller's to close. */
  readonly base: ChainedBundle;
  /** At least one; each builds on the one before it. */
  readonly deltas: readonly ChainedBundle[];
  /** The folder that the bundle's own folder is made in. */
  readonly out: string;
  /** The bundle is written in parts of this size, in bytes. Default: as one file. */
  readonly partBytes?: number | undefined;
  /** How many blobs are copied at once. Default: 4. */
  readonly concurrency?: number | undefined;
  readonly onEvent?: ((event: MergeEvent) => void) | undefined;
}

export interface MergeResult {
  readonly bundle: BundlePath & { readonly bytes: number };
  readonly images: number;
  /** Charts and packs. */
  readonly charts: number;
  readonly blobs: number;
  /** Of all blobs. */
  readonly stored: number;
}

interface MergePlan {
  readonly document: BundleDocument;
  readonly metadata: MemoryStore;
  readonly blobs: ArrangedBlobs<{ readonly blob: Descriptor }>;
}

const defaultConcurrency = 4;

/**
 * Makes one full bundle of a base and its deltas, with what the last of them carries: the bytes are those of a build of the same
 * images without a base. Blobs go from the files to their places in the new one, verified, without a store between; a merge
 * that was interrupted goes on where it stopped.
 *
 * @throws EdgeBundleError BASE_MISSING and CONFIG_INVALID for bundles that are not a chain; CONTENT_MISSING, DIGEST_MISMATCH and
 *   BUNDLE_INVALID where one is not as it was built; LOCKED, NO_SPACE, FILE_FAILED, ABORTED
 */
export async function mergeBundles(options: MergeOptions): Promise<MergeResult> {
  const { base, deltas, out, partBytes, concurrency = defaultConcurrency, signal, onEvent } = options;
  const chain = new BundleChain(base, deltas);
  const { document, metadata, blobs } = await planMerge(chain, signal);
  const target = bundlePath(out, document);
  const stored = document.blobs.reduce((sum, { size }) => sum + size, 0);
  const result = ({ path, bytes }: FinishedBundle): MergeResult => ({
    bundle: { ...target, path, bytes },
    images: document.images.length,
    charts: document.charts.length,
    blobs: document.blobs.length,
    stored,
  });
  const finished = await findFinished(target, { partBytes, signal });
  if (finished !== undefined) return result(finished);

  const writer = await BundleWriter.open({ out, document, metadata, partBytes, signal });
  try {
    let presentBytes = 0;
    for (const { blob } of [...blobs.stored, ...blobs.compressed]) {
      if (await writer.exists(blob)) presentBytes += blob.size;
    }
    onEvent?.({ type: 'planned', path: target.path, bytes: stored, presentBytes });
    const copier = new Copier({ concurrency, signal, onEvent });
    const failures: EdgeBundleError[] = [];
    const copy = async ({ blob }: { readonly blob: Descriptor }): Promise<boolean> => {
      try {
        await copier.copyContent(chain, writer, blob);
        return true;
      } catch (error) {
        if (!isEdgeBundleError(error, ...damage)) throw error;
        failures.push(error);
        return false;
      }
    };
    await forEachLimited(blobs.stored, concurrency, async (blob) => {
      await copy(blob);
    });
    for (const blob of blobs.compressed) if (!(await copy(blob))) break;
    if (failures.length > 0)
      throw combineFailures('BUNDLE_INVALID', 'the bundles are not as they were built', failures);
    return result(await writer.commit());
  } finally {
    await writer.close();
  }
}

/** What is wrong with one blob, and says nothing of the others. */
const damage = [
  'BUNDLE_INVALID',
  'CONTENT_MISSING',
  'DIGEST_MISMATCH',
  'SIZE_MISMATCH',
  'TRANSFER_INCOMPLETE',
] as const;

/** The document that a build of the same images would have, and the small content that comes first. */
async function planMerge(chain: BundleChain, signal: AbortSignal | undefined): Promise<MergePlan> {
  const metadata = new MemoryStore();
  const manifests = new Map<Digest, Descriptor>();
  const needed = new Map<Digest, { readonly blob: Descriptor }>();
  for (const content of namedContents(chain.document)) {
    const graph = await collectGraph(chain, contentDescriptor(content), { signal });
    for (const { descriptor, bytes } of graph.manifests) {
      if (manifests.has(descriptor.digest)) continue;
      manifests.set(descriptor.digest, descriptor);
      await metadata.push(descriptor, Readable.from([bytes]));
    }
    for (const blob of graph.blobs) if (!needed.has(blob.digest)) needed.set(blob.digest, { blob });
  }
  const blobs = arrangeBlobs([...needed.values()].filter(({ blob: { digest } }) => !manifests.has(digest)));
  for (const { blob } of blobs.small) {
    await metadata.push(blob, Readable.from([await readContent(chain, blob, { signal })]));
  }
  const document = { ...chain.document, base: undefined, blobs: listBlobs(manifests.values(), blobs) };
  return { document, metadata, blobs };
}
