import type { Digest } from '../content/digest.ts';
import type { ReadOnlyContentStore, Resolver } from '../content/store.ts';
import type { NamedImage } from './image-set.ts';
import type { ImageSource } from './mention.ts';

/** All that the profiles ask for, and what may be missing from that. */
export interface ResolvedProfiles {
  /** What was given, in that order. */
  readonly inputs: readonly ResolvedInput[];
  /** In the order in which a cluster needs them: layer, install priority, place in the profiles. */
  readonly images: readonly NamedImage[];
  readonly charts: readonly ResolvedChart[];
  readonly excluded: readonly ExcludedImage[];
  readonly unrendered: readonly Unrendered[];
  readonly layers: readonly ResolvedLayer[];
  /** What the user should know of, and that stops nothing. */
  readonly warnings: readonly string[];
}

/** What can be kept between runs: without the charts themselves, and without the packs' values, which hold passwords. */
export interface Resolution extends Omit<ResolvedProfiles, 'charts' | 'layers'> {
  readonly charts: readonly Omit<ResolvedChart, 'open'>[];
  readonly layers: readonly Omit<ResolvedLayer, 'values' | 'presets'>[];
}

export interface ResolvedInput {
  readonly name: string;
  readonly version: string | undefined;
  readonly digest: Digest;
}

/** A Helm chart, or a pack with all that it holds. */
export interface ResolvedChart {
  readonly kind: 'chart' | 'pack';
  readonly name: string;
  readonly version: string;
  /** In normal form; of the registry `localhost` where it was read from a file. */
  readonly reference: string;
  readonly sources: readonly ImageSource[];
  /** Makes the content that was read from a file or an HTTP repository; undefined where a registry has it. */
  readonly open: (() => Promise<ReadOnlyContentStore & Resolver>) | undefined;
}

export interface ExcludedImage extends NamedImage {
  /** The pattern that left it out. */
  readonly pattern: string;
  /** Where its pods run, as far as is known. */
  readonly namespaces: readonly string[];
}

/** Something whose images are known in part only. */
export interface Unrendered {
  readonly profile: string;
  readonly pack: string | undefined;
  readonly chart: string | undefined;
  readonly code: 'RENDER_FAILED' | 'RENDER_LIMIT' | 'PACK_NOT_FOUND';
  readonly reason: string;
  readonly hint: string | undefined;
}

/** A pack, or a list, chart or manifest that was given by itself, and what it contributes. */
export interface ResolvedLayer {
  readonly profile: string;
  readonly pack: string | undefined;
  readonly version: string | undefined;
  /** `csi`, `addon`, …; undefined for what is no pack. */
  readonly layer: string | undefined;
  /** The place in the profile: `spec.template.packs[0]`. */
  readonly path: string;
  /** The pack's values in YAML, macros replaced. */
  readonly values: string;
  /** The text of the pack's `presets.yaml`. */
  readonly presets: string | undefined;
  /** References in normal form by how they were found, each once. */
  readonly references: Readonly<Record<ImageSource['class'], readonly string[]>>;
  /** Rendered, and not among the content tags. */
  readonly undeclared: readonly string[];
  readonly unrendered: number;
}
