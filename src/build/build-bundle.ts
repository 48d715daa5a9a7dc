import { dirname } from 'node:path';

import { bundleNamePattern, type BundleDocument } from '../bundle/bundle-document.ts';
import { BundleReader } from '../bundle/bundle-reader.ts';
import { bundlePath, BundleWriter } from '../bundle/bundle-writer.ts';
import { writeParts } from '../bundle/write-parts.ts';
import type { Descriptor } from '../content/descriptor.ts';
import type { Digest } from '../content/digest.ts';
import type { OperationOptions } from '../content/store.ts';
import { platformNames } from '../content/platform-match.ts';
import type { CopyEvent } from '../copy/copier.ts';
import { EdgeBundleError, isEdgeBundleError } from '../errors.ts';
import { isSameFileSystem } from '../files/free-space.ts';
import type { BlobCache } from '../store/blob-cache.ts';
import { MemoryStore } from '../store/memory-store.ts';
import { BlobSupply } from './blob-supply.ts';
import { FailureCollector } from './failure-collector.ts';
import { type EarlierBundle, LocalContent } from './local-content.ts';
import { MetadataReader } from './metadata-reader.ts';
import { type ContentPlan, planContent } from './plan-content.ts';
import type { ImageSelection } from './prepare-image.ts';
import { resolveContent } from './resolve-content.ts';
import { findSetAside, openSetAside, removeSetAside, setAsideFolder } from './set-aside.ts';
import type { ImageSource, WantedChart, WantedImage } from './wanted-content.ts';

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
  /** Something that the user should know of, and that stops nothing. */
  | { readonly type: 'warning'; readonly text: string }
  | CopyEvent;

export interface BuildOptions extends OperationOptions, ImageSelection {
  /** Lower-case letters and digits, with `.`, `_` or `-` between them; at most 63. */
  readonly name: string;
  readonly images: readonly WantedImage[];
  readonly charts?: readonly WantedChart[] | undefined;
  readonly profiles: BundleDocument['profiles'];
  readonly source: ImageSource;
  /** Bundles that content is taken from, instead of the network. They stay the caller's to close. */
  readonly existing?: readonly EarlierBundle[] | undefined;
  /** Content is taken from it, and what is downloaded is kept in it. */
  readonly cache?: BlobCache | undefined;
  /** The folder that the bundle's own folder is made in. */
  readonly out: string;
  /** The bundle is written in parts of so many bytes. Default: as one file. */
  readonly partBytes?: number | undefined;
  /** How many downloads run at once. Default: 4. */
  readonly concurrency?: number | undefined;
  /** The time stamp inside the bundle, in seconds since 1970. Default: 0. */
  readonly sourceDateEpoch?: number | undefined;
  readonly onEvent?: ((event: BuildEvent) => void) | undefined;
}

export interface BuildResult {
  /** `path` is the file's, or the first part's. */
  readonly bundle: { readonly path: string; readonly id: string; readonly digest: Digest; readonly bytes: number };
  readonly images: number;
  /** Charts and packs, each once. */
  readonly charts: number;
  /** Signatures, attestations and SBOMs of these. */
  readonly attachments: number;
  readonly blobs: number;
  readonly bytes: {
    /** What the images and charts have, each taken by itself. */
    readonly referenced: number;
    /** What is in the bundle: each blob once. */
    readonly stored: number;
    readonly saved: number;
    /** Of blobs; less than `stored` where it went on from an earlier run, or reused what was there. */
    readonly downloaded: number;
    /** Of blobs: taken from existing bundles and from the cache. */
    readonly reused: { readonly bundles: number; readonly cache: number };
  };
}

const defaultConcurrency = 4;

/** What a bundle has besides its blobs is less, and a thousandth of them. */
const overheadBytes = 1024 * 1024;

/**
 * Downloads images and charts into a content bundle, each blob once, straight to its place in the file. The same content gives
 * the same bytes. A run that is killed or fails leaves `<bundle>.partial`, and the next run goes on from it; where the bundle
 * is there already, nothing but manifests and configs is fetched.
 *
 * What fails does not stop the rest: everything else is fetched, and then all failures are reported together. Of a registry that
 * is gone or hangs, nothing more is tried after some failures in a row. Where manifests or configs are missing, the places of
 * layers in the bundle are not known: they are set aside (`set-aside.ts`), and the next run takes them from there.
 *
 * @throws EdgeBundleError with all failures of a phase together; CONFIG_INVALID, LOCKED, NO_SPACE, FILE_FAILED, ABORTED and
 *   what the registries answered: NOT_FOUND, AUTH_FAILED, DIGEST_MISMATCH, TIMEOUT, …
 */
export async function buildBundle(options: BuildOptions): Promise<BuildResult> {
  const { name, images, charts = [], out, onEvent, concurrency = defaultConcurrency } = options;
  if (!bundleNamePattern.test(name)) {
    throw new EdgeBundleError('CONFIG_INVALID', `'${name}' cannot be a bundle's name`, {
      hint: "Use lower-case letters and digits, with '.', '_' or '-' between them; at most 63.",
    });
  }
  if (images.length + charts.length === 0)
    throw new EdgeBundleError('CONFIG_INVALID', 'there are no images and no charts to carry');

  const failures = new FailureCollector(options.signal);
  const { signal } = failures;
  const warn = (text: string): void => onEvent?.({ type: 'warning', text });
  const { existing = [], cache } = options;
  const setAside = await findSetAside(out);
  const bundles = setAside === undefined ? existing : [...existing, setAside];
  const local = new LocalContent({ bundles, cache, onWarning: warn });
  const supply = new BlobSupply(local, { concurrency, failures, onEvent });
  const metadata = new MemoryStore();
  const reader = new MetadataReader(metadata, local);
  const rest = (): LocalContent => new LocalContent({ bundles, onWarning: warn });
  const { document, plan } = await planBundle(options, { metadata, reader, supply, failures, rest });
  const target = bundlePath(out, document);
  const stored = plan.blobs.reduce((sum, { size }) => sum + size, 0);
  const result = ({ path, bytes }: FinishedBundle): BuildResult => ({
    bundle: { ...target, path, bytes },
    images: document.images.length,
    charts: document.charts.length,
    attachments: document.attachments?.length ?? 0,
    blobs: plan.blobs.length,
    bytes: { referenced: plan.referencedBytes, stored, saved: plan.referencedBytes - stored, ...supply.bytes },
  });

  const { partBytes } = options;
  const finished = await findFinished(target, partBytes, signal);
  if (finished !== undefined) return result(finished);

  const writer = await BundleWriter.open({ out, document, metadata, partBytes, signal });
  try {
    const present = await presentBytes(writer, [...plan.stored, ...plan.compressed]);
    await keepSpaceFor(writer.target.path, stored - present, local.cache);
    onEvent?.({
      type: 'planned',
      path: writer.target.path,
      blobs: plan.blobs.length,
      bytes: stored,
      presentBytes: present,
    });
    await Promise.all([supply.deliverAll(plan.stored, writer), supply.deliverInOrder(plan.compressed, writer)]);
    failures.throwIfAny('CONTENT_MISSING', `the bundle '${name}' is not complete`);
    const written = await writer.commit({ signal });
    if (setAside !== undefined) await removeSetAside(out);
    return result(written);
  } finally {
    await writer.close();
  }
}

interface PlanningParts {
  readonly metadata: MemoryStore;
  readonly reader: MetadataReader;
  readonly supply: BlobSupply;
  readonly failures: FailureCollector;
  /** What this machine has for blobs whose places are not known. */
  readonly rest: () => LocalContent;
}

/** What is carried, and how. The parsed manifests, which take much memory, are let go of with it. */
async function planBundle(
  options: BuildOptions,
  { metadata, reader, supply, failures, rest }: PlanningParts,
): Promise<{ readonly document: BundleDocument; readonly plan: ContentPlan }> {
  const { name, images, charts = [], profiles, source, sourceDateEpoch = 0, onEvent } = options;
  const { concurrency = defaultConcurrency } = options;
  const content = await resolveContent(
    {
      ...{ images, charts, source, concurrency, selection: options, reader },
      onResolved: (reference, digest) => onEvent?.({ type: 'resolved', reference, digest }),
      onNote: (text) => onEvent?.({ type: 'warning', text }),
    },
    failures,
  );
  const missing = failures.count;
  const plan = await planContent(content.graphs, metadata, supply);
  if (failures.count > 0) {
    await fetchTheRest(plan, rest(), failures, options);
    const what = charts.length === 0 ? 'images' : 'images and charts';
    const few = `${missing} of ${images.length + charts.length} ${what} cannot be had`;
    failures.throwIfAny('CONTENT_MISSING', missing > 0 ? few : `the configs of some ${what} cannot be had`);
  }
  const document: BundleDocument = {
    formatVersion: 1,
    name,
    platforms: platformNames(options.platforms ?? []),
    sourceDateEpoch,
    profiles,
    images: content.images,
    charts: content.charts,
    ...(content.attachments.length === 0 ? {} : { attachments: content.attachments }),
    blobs: plan.blobs,
  };
  return { document, plan };
}

/** What fails here too is told with the rest. */
async function fetchTheRest(
  { stored, compressed }: ContentPlan,
  local: LocalContent,
  failures: FailureCollector,
  { out, cache, concurrency = defaultConcurrency, onEvent }: BuildOptions,
): Promise<void> {
  const blobs = [...stored, ...compressed];
  if (blobs.length === 0 || failures.signal.aborted) return;
  const supply = new BlobSupply(local, { concurrency, failures, onEvent });
  await supply.deliverAll(blobs, cache ?? (await openSetAside(out)));
  const place = cache?.folder ?? setAsideFolder(out);
  onEvent?.({ type: 'warning', text: `what can be had is set aside in '${place}', for the next run` });
}

async function presentBytes(writer: BundleWriter, blobs: readonly { readonly blob: Descriptor }[]): Promise<number> {
  let bytes = 0;
  for (const { blob } of blobs) if (await writer.exists(blob)) bytes += blob.size;
  return bytes;
}

/** The cache must not fill the disk that the bundle needs. */
async function keepSpaceFor(bundlePath: string, bytes: number, cache: BlobCache | undefined): Promise<void> {
  if (cache === undefined) return;
  cache.keepFreeBytes = (await isSameFileSystem(dirname(bundlePath), cache.folder)) ? bytes * 1.001 + overheadBytes : 0;
}

interface FinishedBundle {
  readonly path: string;
  readonly bytes: number;
}

/** The bundle where it is there already, and sound as far as opening it tells; cut into parts where those are wanted. */
async function findFinished(
  { path, digest }: { readonly path: string; readonly digest: Digest },
  partBytes: number | undefined,
  signal: AbortSignal,
): Promise<FinishedBundle | undefined> {
  const found = await openFinished(path, digest);
  if (found === undefined || partBytes === undefined) return found;
  const { paths, bytes } = await writeParts(found.path, { partBytes, signal });
  return { path: paths[0] ?? path, bytes };
}

async function openFinished(path: string, digest: Digest): Promise<FinishedBundle | undefined> {
  try {
    const bundle = await BundleReader.open(path);
    await bundle.close();
    return bundle.digest === digest ? { path: bundle.paths[0] ?? path, bytes: bundle.bytes } : undefined;
  } catch (error) {
    if (isEdgeBundleError(error)) return undefined;
    throw error;
  }
}
