import type { BundleChart, BundleDocument, BundleFile, NamedContent } from '../bundle/bundle-document.ts';
import type { BundleOutline } from '../bundle/read-document.ts';
import type { Digest } from '../content/digest.ts';

/** What has a name in both bundles, and stands for something else in the second. */
export interface Moved {
  readonly name: string;
  readonly from: Digest;
  readonly to: Digest;
}

/** Names with what they stand for. */
export interface ContentDifference {
  readonly added: { readonly name: string; readonly digest: Digest }[];
  readonly removed: { readonly name: string; readonly digest: Digest }[];
  readonly moved: Moved[];
  /** How many are the same in both. */
  readonly same: number;
}

/** Blobs and manifests. */
export interface BlobTotal {
  readonly blobs: number;
  readonly bytes: number;
}

/** What changes from one bundle to another. A delta counts with what its base has for it. */
export interface BundleDifference {
  /** By their references. */
  readonly images: ContentDifference;
  /** By kind, name and version: `chart web 1.0.0`. */
  readonly charts: ContentDifference;
  /** By their references: signatures, attestations, SBOMs. */
  readonly attachments: ContentDifference;
  /** By their names; the digests are of the files themselves. */
  readonly files: ContentDifference;
  /** What the second needs and the first does not have: what a delta carries, without manifests that both have. */
  readonly added: BlobTotal;
  readonly shared: BlobTotal;
  /** What only the first has. */
  readonly removed: BlobTotal;
}

/** Needs the documents only. */
export function compareBundles(
  { document: from }: Pick<BundleOutline, 'document'>,
  { document: to }: Pick<BundleOutline, 'document'>,
): BundleDifference {
  const [before, after] = [blobsOf(from), blobsOf(to)];
  const total = (blobs: ReadonlyMap<Digest, number>, isCounted: (digest: Digest) => boolean): BlobTotal => {
    const sizes = [...blobs].flatMap(([digest, size]) => (isCounted(digest) ? [size] : []));
    return { blobs: sizes.length, bytes: sizes.reduce((sum, size) => sum + size, 0) };
  };
  return {
    images: compare(from.images, to.images, referenceOf),
    charts: compare(from.charts, to.charts, ({ kind, name, version }: BundleChart) => `${kind} ${name} ${version}`),
    attachments: compare(from.attachments ?? [], to.attachments ?? [], referenceOf),
    files: compare(
      (from.files ?? []).map(fileContent),
      (to.files ?? []).map(fileContent),
      ({ name }: { readonly name: string }) => name,
    ),
    added: total(after, (digest) => !before.has(digest)),
    shared: total(after, (digest) => before.has(digest)),
    removed: total(before, (digest) => !after.has(digest)),
  };
}

function compare<T extends { readonly digest: Digest }>(
  from: readonly T[],
  to: readonly T[],
  nameOf: (content: T) => string,
): ContentDifference {
  const before = new Map(from.map((content) => [nameOf(content), content.digest]));
  const after = new Map(to.map((content) => [nameOf(content), content.digest]));
  const only = (one: ReadonlyMap<string, Digest>, other: ReadonlyMap<string, Digest>): ContentDifference['added'] =>
    [...one].flatMap(([name, digest]) => (other.has(name) ? [] : [{ name, digest }]));
  const both = [...after].flatMap(([name, digest]): Moved[] => {
    const earlier = before.get(name);
    return earlier === undefined ? [] : [{ name, from: earlier, to: digest }];
  });
  const moved = both.filter((each) => each.from !== each.to);
  return { added: only(after, before), removed: only(before, after), moved, same: both.length - moved.length };
}

/** What a registry has after the bundle was loaded on its base, each with its size. */
function blobsOf({ blobs, base }: BundleDocument): ReadonlyMap<Digest, number> {
  return new Map([...blobs, ...(base?.blobs ?? [])].map(({ digest, size }) => [digest, size]));
}

function referenceOf({ reference }: NamedContent): string {
  return reference;
}

function fileContent({ name, content }: BundleFile): { readonly name: string; readonly digest: Digest } {
  return { name, digest: content.digest };
}
