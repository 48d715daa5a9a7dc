import type { Descriptor } from '../content/descriptor.ts';
import { type Digest, digestOf } from '../content/digest.ts';
import type { BundleBase, BundleChart, BundleContent, BundleDocument, NamedContent } from './bundle-document.ts';

/** A bundle that a delta builds on. Its document is all that is needed of it. */
export interface BaseBundle {
  readonly document: BundleDocument;
  /** Of `bundle.json`. */
  readonly digest: Digest;
}

/** Packs and files have it: a registry with packs of the base has it, and one with its files alone has not. */
const emptyConfig = digestOf(Buffer.from('{}'));

/** What a registry has after `base`, and the bundles that it builds on, were loaded, as far as documents tell. */
export class BaseContent {
  readonly #base: BaseBundle;
  readonly #blobs: ReadonlyMap<Digest, number>;

  constructor(base: BaseBundle) {
    this.#base = base;
    const { blobs, base: earlier, files = [] } = base.document;
    const known = new Map([...blobs, ...(earlier?.blobs ?? [])].map(({ digest, size }) => [digest, size]));
    known.delete(emptyConfig);
    // No registry gets them.
    for (const { content } of files) known.delete(content.digest);
    this.#blobs = known;
  }

  /** Whether a delta can leave this config or layer out. */
  has({ digest, size }: Pick<Descriptor, 'digest' | 'size'>): boolean {
    return this.#blobs.get(digest) === size;
  }

  /** `base` of a delta that carries these images, charts and attachments, and leaves out these blobs. */
  describe(delta: DeltaContents, leftOut: Iterable<Pick<Descriptor, 'digest' | 'size'>>): BundleBase {
    const { digest, document } = this.#base;
    const { name, base: earlier } = document;
    const carried = new Set([...delta.images, ...delta.charts, ...(delta.attachments ?? [])].map(keyOf));
    const others = <T extends NamedContent>(...contents: readonly T[]): T[] => {
      const known = new Map<string, T>();
      for (const each of contents) {
        const key = keyOf(each);
        if (!carried.has(key)) known.set(key, each);
      }
      return [...known.values()];
    };
    const { images = [], charts = [], attachments = [] } = earlier ?? {};
    return {
      name,
      digest,
      images: others(...document.images.map(named), ...images),
      charts: others(
        ...document.charts.map((chart) => ({
          ...{ kind: chart.kind, name: chart.name, version: chart.version },
          ...named(chart),
        })),
        ...charts,
      ),
      attachments: others(...(document.attachments ?? []), ...attachments),
      blobs: [...leftOut].map((blob) => ({ digest: blob.digest, size: blob.size })),
    };
  }
}

export type DeltaContents = Pick<BundleDocument, 'images' | 'charts' | 'attachments'>;

function named({ reference, digest, mediaType, size }: BundleContent | BundleChart): NamedContent {
  return { reference, digest, mediaType, size };
}

/** A chart is found by its version, whatever its reference. */
function keyOf(content: NamedContent & Partial<Pick<BundleChart, 'kind' | 'name' | 'version'>>): string {
  const { kind = '', name = '', version = '', reference, digest } = content;
  return JSON.stringify([kind, name, version, reference, digest]);
}
