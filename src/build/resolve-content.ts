import pLimit from 'p-limit';

import { versionTag } from '../artifact/version-tag.ts';
import type { BundleAttachment, BundleChart, BundleContent } from '../bundle/bundle-document.ts';
import type { Descriptor } from '../content/descriptor.ts';
import type { Digest } from '../content/digest.ts';
import {
  isManifestReader,
  isReferrers,
  isTagLister,
  type ManifestReader,
  type ReadOnlyContentStore,
  type Referrers,
  type Resolver,
  type TagLister,
} from '../content/store.ts';
import { forEachLimited } from '../copy/for-each-limited.ts';
import { combineFailures, EdgeBundleError } from '../errors.ts';
import { parseReference } from '../oci-client/reference.ts';
import { type Attachment, AttachmentFinder } from './attachments.ts';
import type { FailureCollector } from './failure-collector.ts';
import type { MetadataReader } from './metadata-reader.ts';
import type { SourcedGraph } from './plan-content.ts';
import { ImagePreparer, type ImageSelection, type PreparedImage } from './prepare-image.ts';
import type { ImageSource, WantedChart, WantedImage } from './wanted-content.ts';

export interface ResolveContentOptions {
  readonly images: readonly WantedImage[];
  readonly charts: readonly WantedChart[];
  readonly source: ImageSource;
  readonly concurrency: number;
  readonly selection: ImageSelection;
  /** Reads the manifests. */
  readonly reader: MetadataReader;
  readonly onResolved: (reference: string, digest: Digest) => void;
  /** Told what the user should know of, and that stops nothing. */
  readonly onNote: (text: string) => void;
}

export interface ResolvedContent {
  readonly images: BundleContent[];
  /** What was wanted several times is listed once, with all of its sources. */
  readonly charts: BundleChart[];
  /** What belongs to the images and charts, each once. */
  readonly attachments: BundleAttachment[];
  /** Of the images, then of the charts, then of what belongs to them. */
  readonly graphs: readonly SourcedGraph[];
}

interface Resolved<T extends WantedImage> {
  readonly wanted: T;
  readonly root: Descriptor;
  readonly image: PreparedImage;
}

/**
 * Turns every reference into a digest, once, and reads the manifests below it. What cannot be had is left out, and among the
 * failures.
 *
 * @throws EdgeBundleError REFERENCE_INVALID where a chart's name and version stand for two contents
 */
export async function resolveContent(
  options: ResolveContentOptions,
  failures: FailureCollector,
): Promise<ResolvedContent> {
  const { images, charts, source, concurrency, selection, reader, onResolved, onNote } = options;
  const { signal } = failures;
  const limit = pLimit(concurrency);
  const finder = new AttachmentFinder(reader, { signal, limit });
  const pinned = digestsOf(images);
  const preparer = new ImagePreparer(reader, finder, { selection, pinned, signal, limit, onNote });

  const resolve = async <T extends WantedImage & Pick<WantedChart, 'store'>>(
    wanted: T,
  ): Promise<readonly Resolved<T>[]> => {
    const { reference, store } = wanted;
    const resolved: Resolved<T>[] = [];
    await failures.run(reference, async () => {
      const { registry, repository, tag, digest } = parseReference(reference);
      const from = whileReachable(store ?? source.repository(registry, repository), reference, failures);
      const found = await limit(() => reader.resolve(from, digest ?? wanted.digest ?? tag ?? 'latest', { signal }));
      onResolved(reference, found.digest);
      const name = `${registry}/${repository}`;
      const image = await preparer.prepare({ reference, name, source: from, root: found });
      resolved.push({ wanted, root: image.root, image });
    });
    return resolved;
  };
  // An image waits for one thing at a time: with twice as many images as requests, there is always one to send.
  const resolveAll = async <T extends WantedImage>(all: readonly T[]): Promise<Resolved<T>[]> => {
    const resolved: (readonly Resolved<T>[])[] = [];
    await forEachLimited(all.entries(), 2 * concurrency, async ([at, wanted]) => {
      resolved[at] = await resolve(wanted);
    });
    return resolved.flat();
  };
  const resolvedImages = await resolveAll(images);
  const resolvedCharts = await resolveAll(charts);

  const distinct = mergeSources(resolvedCharts);
  // With some of them missing, what is missing is what to tell.
  if (failures.count === 0) ensureOneEach(distinct);
  const prepared = [...resolvedImages, ...distinct];
  const attachments = attachmentsOf(prepared);
  return {
    images: resolvedImages.map(contentOf),
    charts: distinct.map(chartOf),
    attachments: attachments.map(({ reference, root: { digest, mediaType, size }, subject }) => ({
      ...{ reference, digest, mediaType, size, subject },
    })),
    graphs: [...prepared.map(({ image }) => image.graph), ...attachments.map(({ graph }) => graph)],
  };
}

/** What the references say themselves, and not a lock. */
function digestsOf(images: readonly WantedImage[]): ReadonlySet<Digest> {
  return new Set(images.flatMap(({ reference }) => parseReference(reference).digest ?? []));
}

/** Each once; without what is wanted by itself. */
function attachmentsOf(resolved: readonly Resolved<WantedImage>[]): readonly Attachment[] {
  const wanted = new Set(
    resolved.flatMap(({ wanted: { reference }, root }) => {
      const { registry, repository } = parseReference(reference);
      return [reference, `${registry}/${repository}@${root.digest}`];
    }),
  );
  const found = new Map<string, Attachment>();
  for (const attachment of resolved.flatMap(({ image }) => image.attachments)) {
    if (!wanted.has(attachment.reference)) found.set(attachment.reference, attachment);
  }
  return [...found.values()];
}

/** `source`, with its optional powers, as long as its registry has not been given up. */
function whileReachable(
  source: ReadOnlyContentStore & Resolver,
  reference: string,
  failures: FailureCollector,
): ReadOnlyContentStore & Resolver & Partial<ManifestReader & Referrers & TagLister> {
  const ensured = async <T>(request: () => Promise<T>): Promise<T> => {
    failures.ensureReachable(reference);
    return request();
  };
  return {
    resolve: (...request) => ensured(() => source.resolve(...request)),
    exists: (...request) => ensured(() => source.exists(...request)),
    fetch: (...request) => ensured(() => source.fetch(...request)),
    ...(isManifestReader(source)
      ? { readManifest: (...request) => ensured(() => source.readManifest(...request)) }
      : {}),
    ...(isReferrers(source) ? { referrers: (...request) => ensured(() => source.referrers(...request)) } : {}),
    ...(isTagLister(source) ? { tags: (...request) => ensured(() => source.tags(...request)) } : {}),
  };
}

function mergeSources(charts: readonly Resolved<WantedChart>[]): Resolved<WantedChart>[] {
  const merged = new Map<string, Resolved<WantedChart>>();
  for (const chart of charts) {
    const key = `${chart.wanted.kind} ${chart.wanted.reference} ${chart.root.digest}`;
    const known = merged.get(key);
    const sources = [...(known?.wanted.sources ?? []), ...chart.wanted.sources];
    merged.set(key, known === undefined ? chart : { ...known, wanted: { ...known.wanted, sources } });
  }
  return [...merged.values()];
}

/** A loaded chart is found by its name and version alone. */
function ensureOneEach(charts: readonly Resolved<WantedChart>[]): void {
  const holders = new Map<string, Resolved<WantedChart>>();
  const failures: EdgeBundleError[] = [];
  for (const chart of charts) {
    const { kind, name, version, reference } = chart.wanted;
    const key = `${kind} ${name} ${versionTag(version)}`;
    const holder = holders.get(key) ?? chart;
    holders.set(key, holder);
    if (holder.root.digest === chart.root.digest) continue;
    failures.push(
      new EdgeBundleError(
        'REFERENCE_INVALID',
        `${kind} '${name}' ${version} cannot be two: '${holder.wanted.reference}' (${sourcesOf(holder)}) is ${holder.root.digest}, ` +
          `'${reference}' (${sourcesOf(chart)}) is ${chart.root.digest}`,
        { hint: 'Leave one of them out, or carry it in a bundle of its own.' },
      ),
    );
  }
  const [first] = failures;
  if (first !== undefined && failures.length === 1) throw first;
  if (failures.length > 0)
    throw combineFailures('REFERENCE_INVALID', `${failures.length} charts or packs have two contents`, failures);
}

function sourcesOf({ wanted: { sources } }: Resolved<WantedChart>): string {
  return [...new Set(sources.map(({ profile, pack }) => pack ?? profile))].join(', ');
}

function contentOf({ wanted: { reference, sources }, root, image }: Resolved<WantedImage>): BundleContent {
  const { digest, mediaType, size } = root;
  const { originalDigest } = image;
  return {
    ...{ reference, digest, mediaType, size, sources: [...sources] },
    ...(originalDigest === undefined ? {} : { originalDigest }),
  };
}

function chartOf(chart: Resolved<WantedChart>): BundleChart {
  const { kind, name, version } = chart.wanted;
  return { kind, name, version, ...contentOf(chart) };
}
