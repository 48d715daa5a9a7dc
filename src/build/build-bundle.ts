import pLimit from 'p-limit';

import {
  type BundleContent,
  bundleNamePattern,
  type BundleDocument,
  type ContentSource,
} from '../bundle/bundle-document.ts';
import { BundleReader } from '../bundle/bundle-reader.ts';
import { bundlePath, BundleWriter } from '../bundle/bundle-writer.ts';
import type { Descriptor } from '../content/descriptor.ts';
import type { Digest } from '../content/digest.ts';
import type { OperationOptions, ReadOnlyContentStore, Resolver } from '../content/store.ts';
import { Copier, type CopyEvent } from '../copy/copier.ts';
import { EdgeBundleError, isEdgeBundleError } from '../errors.ts';
import { type Reference, parseReference } from '../oci-client/reference.ts';
import { MemoryStore } from '../store/memory-store.ts';
import { FailureCollector } from './failure-collector.ts';
import { collectImage, planContent, type SourcedGraph } from './plan-content.ts';

/** Where images come from; a RegistryClient is one. */
export interface ImageSource {
  repository(registry: string, repository: string): ReadOnlyContentStore & Resolver;
}

/** An image to carry, by its reference in normal form, and the places that asked for it. */
export interface WantedImage {
  readonly reference: string;
  readonly sources: readonly ContentSource[];
}

export type BuildEvent =
  | { readonly type: 'resolved'; readonly reference: string; readonly digest: Digest }
  /** Downloads begin: so many blobs with so many bytes are in the bundle; an earlier run left `presentBytes` in place. */
  | {
      readonly type: 'planned';
      readonly path: string;
      readonly blobs: number;
      readonly bytes: number;
      readonly presentBytes: number;
    }
  | CopyEvent;

export interface BuildOptions extends OperationOptions {
  /** Lower-case letters and digits, with `.`, `_` or `-` between them; at most 63. */
  readonly name: string;
  readonly images: readonly WantedImage[];
  readonly profiles: BundleDocument['profiles'];
  readonly source: ImageSource;
  /** The folder that the bundle's own folder is made in. */
  readonly out: string;
  /** How many downloads run at once. Default: 4. */
  readonly concurrency?: number | undefined;
  /** The time stamp inside the bundle, in seconds since 1970. Default: 0. */
  readonly sourceDateEpoch?: number | undefined;
  readonly onEvent?: ((event: BuildEvent) => void) | undefined;
}

export interface BuildResult {
  readonly bundle: { readonly path: string; readonly id: string; readonly digest: Digest; readonly bytes: number };
  readonly images: number;
  readonly blobs: number;
  readonly bytes: {
    /** What the images have, each taken by itself. */
    readonly referenced: number;
    /** What is in the bundle: each blob once. */
    readonly stored: number;
    readonly saved: number;
    /** What this run fetched; less than `stored` where it went on from an earlier one. */
    readonly downloaded: number;
  };
}

const defaultConcurrency = 4;

/**
 * Downloads images into a content bundle, each blob once, straight to its place in the file. The same images give the same
 * bytes. A run that is killed or fails leaves `<bundle>.partial`, and the next run goes on from it; where the bundle is
 * there already, nothing but manifests and configs is fetched.
 *
 * @throws EdgeBundleError with all failures of a phase together; CONFIG_INVALID, LOCKED, NO_SPACE, FILE_FAILED, ABORTED and
 *   what the registries answered: NOT_FOUND, AUTH_FAILED, DIGEST_MISMATCH, TIMEOUT, …
 */
export async function buildBundle(options: BuildOptions): Promise<BuildResult> {
  const { name, images, profiles, out, concurrency = defaultConcurrency, sourceDateEpoch = 0, onEvent } = options;
  if (!bundleNamePattern.test(name)) {
    throw new EdgeBundleError('CONFIG_INVALID', `'${name}' cannot be a bundle's name`, {
      hint: "Use lower-case letters and digits, with '.', '_' or '-' between them; at most 63.",
    });
  }
  if (images.length === 0) throw new EdgeBundleError('CONFIG_INVALID', 'there are no images to carry');

  const failures = new FailureCollector(options.signal);
  const { signal } = failures;
  let downloaded = 0;
  const copier = new Copier({
    concurrency,
    signal,
    onEvent: (event) => {
      if (event.type === 'progress') downloaded += event.bytes;
      onEvent?.(event);
    },
  });

  const { contents, graphs } = await resolveImages(options, concurrency, failures);
  const metadata = new MemoryStore();
  const plan = await planContent(graphs, metadata, copier, failures);
  const document: BundleDocument = {
    formatVersion: 1,
    name,
    platforms: [],
    sourceDateEpoch,
    profiles,
    images: contents,
    charts: [],
    blobs: plan.blobs,
  };
  const stored = plan.blobs.reduce((sum, { size }) => sum + size, 0);
  const result = (bytes: number): BuildResult => ({
    bundle: { ...bundlePath(out, document), bytes },
    images: contents.length,
    blobs: plan.blobs.length,
    bytes: { referenced: plan.referencedBytes, stored, saved: plan.referencedBytes - stored, downloaded },
  });

  const finishedBytes = await bytesOfFinished(bundlePath(out, document));
  if (finishedBytes !== undefined) return result(finishedBytes);

  const writer = await BundleWriter.open({ out, document, metadata, signal });
  try {
    const present = await presentBytes(writer, [...plan.stored, ...plan.compressed]);
    onEvent?.({
      type: 'planned',
      path: writer.target.path,
      blobs: plan.blobs.length,
      bytes: stored,
      presentBytes: present,
    });
    const fetchBlob = ({ blob, source, wantedBy }: (typeof plan.stored)[number]): Promise<void> =>
      failures.run(wantedBy, async () => {
        await copier.copyContent(source, writer, blob);
      });
    const inOrder = async (): Promise<void> => {
      for (const blob of plan.compressed) {
        const failed = failures.count;
        await fetchBlob(blob);
        if (failures.count > failed) return;
      }
    };
    await Promise.all([...plan.stored.map(fetchBlob), inOrder()]);
    failures.throwIfAny('CONTENT_MISSING', `the bundle '${name}' is not complete`);
    const { bytes } = await writer.commit();
    return result(bytes);
  } finally {
    await writer.close();
  }
}

/** Turns every reference into a digest, once, and reads the manifests below it. */
async function resolveImages(
  options: BuildOptions,
  concurrency: number,
  failures: FailureCollector,
): Promise<{ contents: BundleContent[]; graphs: SourcedGraph[] }> {
  const { images, source, onEvent } = options;
  const { signal } = failures;
  const limit = pLimit(concurrency);
  const graphs = new Map<string, SourcedGraph>();
  const resolved = new Map<string, Descriptor>();
  await Promise.all(
    images.map(({ reference }) =>
      failures.run(reference, async () => {
        const parsed = parseReference(reference);
        const repository = source.repository(parsed.registry, parsed.repository);
        const root = await limit(() => repository.resolve(versionOf(parsed), { signal }));
        resolved.set(reference, root);
        onEvent?.({ type: 'resolved', reference, digest: root.digest });
        graphs.set(reference, await collectImage(reference, repository, root, { signal, limit }));
      }),
    ),
  );
  failures.throwIfAny('CONTENT_MISSING', `${failures.count} of ${images.length} images cannot be had`);
  const contents = images.flatMap(({ reference, sources }) => {
    const root = resolved.get(reference);
    if (root === undefined) return [];
    const { digest, mediaType, size } = root;
    return [{ reference, digest, mediaType, size, sources: [...sources] }];
  });
  return { contents, graphs: images.flatMap(({ reference }) => graphs.get(reference) ?? []) };
}

function versionOf({ tag, digest }: Reference): string {
  return digest ?? tag ?? 'latest';
}

async function presentBytes(writer: BundleWriter, blobs: readonly { readonly blob: Descriptor }[]): Promise<number> {
  let bytes = 0;
  for (const { blob } of blobs) if (await writer.exists(blob)) bytes += blob.size;
  return bytes;
}

/** The size of the bundle where it is there already, and sound as far as opening it tells. */
async function bytesOfFinished({ path, digest }: { path: string; digest: Digest }): Promise<number | undefined> {
  try {
    const bundle = await BundleReader.open(path);
    await bundle.close();
    return bundle.digest === digest ? bundle.bytes : undefined;
  } catch (error) {
    if (isEdgeBundleError(error)) return undefined;
    throw error;
  }
}
