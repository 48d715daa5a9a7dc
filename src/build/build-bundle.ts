import { dirname } from 'node:path';

import { bytesArtifact } from '../artifact/file-artifact.ts';
import { type BaseBundle, BaseContent } from '../bundle/bundle-base.ts';
import {
  type BundleBase,
  type BundleDocument,
  type BundleFile,
  bundleId,
  bundleNamePattern,
} from '../bundle/bundle-document.ts';
import { bundlePath } from '../bundle/bundle-path.ts';
import { BundleWriter } from '../bundle/bundle-writer.ts';
import { findFinished, type FinishedBundle } from '../bundle/finished-bundle.ts';
import { encodeLeftOut, leftOutFile, type LeftOutImage } from '../bundle/left-out.ts';
import type { Descriptor } from '../content/descriptor.ts';
import type { Digest } from '../content/digest.ts';
import type { OperationOptions } from '../content/store.ts';
import { platformNames } from '../content/platform-match.ts';
import type { CopyEvent } from '../copy/copier.ts';
import { EdgeBundleError } from '../errors.ts';
import { isSameFileSystem } from '../files/free-space.ts';
import type { BlobCache } from '../store/blob-cache.ts';
import { MemoryStore } from '../store/memory-store.ts';
import { BlobSupply } from './blob-supply.ts';
import { FailureCollector } from './failure-collector.ts';
import { type EarlierBundle, LocalContent } from './local-content.ts';
import { MetadataReader } from './metadata-reader.ts';
import { collectImage, type ContentPlan, planContent, type SourcedGraph } from './plan-content.ts';
import type { ImageSelection } from './prepare-image.ts';
import { resolveContent } from './resolve-content.ts';
import { findSetAside, openSetAside, removeSetAside, setAsideFolder } from './set-aside.ts';
import type { ImageSource, WantedChart, WantedFile, WantedImage } from './wanted-content.ts';

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
  /** Each name once. */
  readonly files?: readonly WantedFile[] | undefined;
  /** Images that the cluster asks for, and that are not carried: the bundle says so in a file (`leftOutFile`). */
  readonly leftOut?: readonly LeftOutImage[] | undefined;
  /** Makes a delta: configs and layers that this one has are left out. */
  readonly base?: BaseBundle | undefined;
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
  readonly files: number;
  readonly blobs: number;
  /** Of a delta: what it builds on, and how much of that it needs. */
  readonly base: BaseUse | undefined;
  readonly bytes: {
    /** What the images, charts and files have, each taken by itself. */
    readonly referenced: number;
    /** What is in the bundle: each blob once. */
    readonly stored: number;
    /** `referenced`, less what is in the bundle and what its base has for it. */
    readonly saved: number;
    /** Of blobs; less than `stored` where it went on from an earlier run, or reused what was there. */
    readonly downloaded: number;
    /** Of blobs: taken from existing bundles and from the cache. */
    readonly reused: { readonly bundles: number; readonly cache: number };
  };
}

/** What a delta leaves to its base. */
export interface BaseUse {
  readonly name: string;
  readonly id: string;
  readonly digest: Digest;
  readonly blobs: number;
  readonly bytes: number;
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
  const files = filesOf(options);
  if (images.length + charts.length + (options.files ?? []).length === 0)
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
  const stored = sumOf(plan.blobs);
  const leftOut = sumOf(plan.leftOut);
  const result = ({ path, bytes }: FinishedBundle): BuildResult => ({
    bundle: { ...target, path, bytes },
    images: document.images.length,
    charts: document.charts.length,
    attachments: document.attachments?.length ?? 0,
    files: files.length,
    blobs: plan.blobs.length,
    base: document.base && baseUse(document.base),
    bytes: {
      referenced: plan.referencedBytes,
      stored,
      saved: plan.referencedBytes - stored - leftOut,
      ...supply.bytes,
    },
  });

  const { partBytes } = options;
  const finished = await findFinished(target, { partBytes, signal });
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
  const files = filesOf(options);
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
  const base = options.base && new BaseContent(options.base);
  const graphs = [...content.graphs, ...(await Promise.all(files.map(graphOf)))];
  const plan = await planContent(graphs, metadata, supply, base);
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
    ...(files.length === 0 ? {} : { files: files.map(fileOf) }),
    ...(base === undefined ? {} : { base: base.describe(content, plan.leftOut) }),
    blobs: plan.blobs,
  };
  return { document, plan };
}

/** By name. @throws EdgeBundleError CONFIG_INVALID where one has the name of the list of what was left out */
function filesOf({ files = [], leftOut = [] }: BuildOptions): readonly WantedFile[] {
  if (files.some(({ name }) => name === leftOutFile))
    throw new EdgeBundleError('CONFIG_INVALID', `a file cannot be called '${leftOutFile}' in a bundle`, {
      hint: 'The bundle says there itself what was left out of it: choose another name.',
    });
  const list = leftOut.length === 0 ? [] : [bytesArtifact(leftOutFile, encodeLeftOut(leftOut))];
  return [...files, ...list].sort((one, other) => (one.name < other.name ? -1 : 1));
}

async function graphOf({ reference, store, root }: WantedFile): Promise<SourcedGraph> {
  return { ...(await collectImage(reference, store, root, {})), isAlwaysCarried: true };
}

function fileOf({ name, executable, reference, root, content }: WantedFile): BundleFile {
  const { digest, mediaType, size } = root;
  return {
    ...{ name, executable, reference, digest, mediaType, size },
    content: { digest: content.digest, size: content.size },
  };
}

function baseUse({ name, digest, blobs }: BundleBase): BaseUse {
  return { name, id: bundleId(digest), digest, blobs: blobs.length, bytes: sumOf(blobs) };
}

function sumOf(blobs: readonly { readonly size: number }[]): number {
  return blobs.reduce((sum, { size }) => sum + size, 0);
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
