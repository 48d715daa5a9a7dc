import type { BundleDocument } from '../bundle/bundle-document.ts';
import { BundleReader } from '../bundle/bundle-reader.ts';
import type { BundleTrust } from '../bundle/read-head.ts';
import { type Digest, digestHex } from '../content/digest.ts';
import { type EdgeBundleError, isEdgeBundleError, throwIfAborted } from '../errors.ts';
import { type BundleFile, searchMedium } from './search-medium.ts';
import type { Medium } from './media.ts';
import { isMeantAsBundle } from './recognise-bundle.ts';

/** A bundle that was opened, and closed again. */
export interface FoundBundle extends BundleFile {
  readonly id: string;
  readonly digest: Digest;
  readonly name: string;
  /** Of a delta: the bundle that it builds on. */
  readonly baseId: string | undefined;
  readonly images: number;
  readonly charts: number;
  /** Of its content. */
  readonly contentBytes: number;
}

export interface UnreadableBundle extends BundleFile {
  readonly error: EdgeBundleError;
}

export interface SearchResult {
  readonly bundles: readonly FoundBundle[];
  /** What is, or seems to be, a bundle and cannot be read. */
  readonly unreadable: readonly UnreadableBundle[];
  /** `.zst` files of others, and the second of two equal bundles. */
  readonly skipped: readonly { readonly path: string; readonly reason: string }[];
  readonly problems: readonly EdgeBundleError[];
}

type Outcome =
  | { readonly bundle: FoundBundle }
  | { readonly unreadable: UnreadableBundle }
  | { readonly skipped: { readonly path: string; readonly reason: string } };

/** Looks for bundles, time and again: a file that has not changed is opened once. */
export class BundleSearch {
  readonly #known = new Map<string, Outcome>();
  readonly #trust: BundleTrust | undefined;

  /** @param trust what every bundle has to satisfy before anything in it is used */
  constructor(trust: BundleTrust | undefined) {
    this.#trust = trust;
  }

  /** @throws EdgeBundleError ABORTED */
  async look(media: readonly Medium[], signal?: AbortSignal): Promise<SearchResult> {
    const outcomes: Outcome[] = [];
    const problems: EdgeBundleError[] = [];
    for (const medium of media) {
      const found = await searchMedium(medium, signal);
      problems.push(...found.problems);
      for (const file of found.files) {
        const outcome = this.#known.get(file.version) ?? (await identify(file, this.#trust, signal));
        this.#known.set(file.version, outcome);
        outcomes.push(outcome);
      }
    }
    const bundles = new Map<Digest, FoundBundle>();
    const skipped = outcomes.flatMap((outcome) => ('skipped' in outcome ? [outcome.skipped] : []));
    for (const outcome of outcomes) {
      if (!('bundle' in outcome)) continue;
      const { bundle } = outcome;
      const first = bundles.get(bundle.digest);
      if (first === undefined) bundles.set(bundle.digest, bundle);
      else if (first.path !== bundle.path) skipped.push({ path: bundle.path, reason: `the same as '${first.path}'` });
    }
    return {
      bundles: [...bundles.values()],
      unreadable: outcomes.flatMap((outcome) => ('unreadable' in outcome ? [outcome.unreadable] : [])),
      skipped,
      problems,
    };
  }
}

async function identify(
  file: BundleFile,
  trust: BundleTrust | undefined,
  signal: AbortSignal | undefined,
): Promise<Outcome> {
  try {
    const reader = await BundleReader.open(file.path, { trust });
    try {
      const { id, digest, document } = reader;
      return { bundle: { ...file, id, digest, name: document.name, ...factsOf(document) } };
    } finally {
      await reader.close();
    }
  } catch (error) {
    throwIfAborted(signal);
    if (!isEdgeBundleError(error)) throw error;
    const isDoubtful = error.code === 'BUNDLE_INVALID' || error.code === 'BUNDLE_PART_MISSING';
    const first = file.paths[0] ?? file.path;
    const isBeginning = file.paths.length === 1 || first.endsWith('_part00');
    if (isDoubtful && isBeginning && !(await isMeantAsBundle(first, file.path))) {
      return { skipped: { path: file.path, reason: 'not a content bundle of edge-bundle' } };
    }
    const isNamed = error.message.includes(file.path);
    return { unreadable: { ...file, error: isNamed ? error : error.about(`'${file.path}'`) } };
  }
}

function factsOf({
  images,
  charts,
  blobs,
  base,
}: BundleDocument): Pick<FoundBundle, 'baseId' | 'images' | 'charts' | 'contentBytes'> {
  return {
    baseId: base === undefined ? undefined : digestHex(base.digest).slice(0, 16),
    images: images.length,
    charts: charts.length,
    contentBytes: blobs.reduce((sum, { size }) => sum + size, 0),
  };
}
