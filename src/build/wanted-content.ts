import type { BundleChart, BundleFile, ContentSource } from '../bundle/bundle-document.ts';
import type { Descriptor } from '../content/descriptor.ts';
import type { Digest } from '../content/digest.ts';
import type { ReadOnlyContentStore, Resolver } from '../content/store.ts';

/** Where images come from; a RegistryClient is one. */
export interface ImageSource {
  repository(registry: string, repository: string): ReadOnlyContentStore & Resolver;
}

/** An image to carry, by its reference in normal form, and the places that asked for it. */
export interface WantedImage {
  readonly reference: string;
  readonly sources: readonly ContentSource[];
  /** What its tag was found to be before: the tag is not asked for again. */
  readonly digest?: Digest | undefined;
}

/** A chart or a pack to carry. */
export interface WantedChart extends WantedImage, Pick<BundleChart, 'kind' | 'name' | 'version'> {
  /** Has it, and resolves the tag of `reference`, where it was made from bytes (`chartArtifact`); else its registry has. */
  readonly store?: (ReadOnlyContentStore & Resolver) | undefined;
}

/** A file to carry for whoever has the bundle: `fileArtifact` makes one. */
export interface WantedFile extends Pick<BundleFile, 'name' | 'executable' | 'reference'> {
  readonly root: Descriptor;
  readonly content: Descriptor;
  /** Has all of it. */
  readonly store: ReadOnlyContentStore;
}
