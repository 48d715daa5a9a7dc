import type { Digest } from '../content/digest.ts';
import type { Mention } from './mention.ts';

/** What a pack, chart, list or manifest holds, as data: it can be kept between runs. */
export interface LayerAnalysis {
  readonly mentions: readonly LocatedMention[];
  /** Lower is installed earlier. */
  readonly installPriority: number;
  readonly charts: readonly AnalysedChart[];
  /** Charts that only the content tags name. */
  readonly contentCharts: readonly ContentChart[];
  readonly unrendered: readonly UnrenderedPart[];
  readonly warnings: readonly string[];
}

export interface LocatedMention extends Mention {
  /** Of the object that runs it. */
  readonly namespace?: string | undefined;
}

export interface AnalysedChart {
  readonly name: string;
  readonly version: string;
  /** In the pack. */
  readonly path: string;
  /** Of the archive. */
  readonly digest: Digest;
}

export interface ContentChart {
  /** `https://charts.example.org`, `oci://ghcr.io/org/charts`. */
  readonly repo: string;
  readonly name: string;
  readonly version: string;
  readonly path: string;
}

export interface UnrenderedPart {
  /** Undefined for the manifests of a pack, and for a pack that was not found. */
  readonly chart?: string | undefined;
  /** RENDER_LIMIT: another time it may be rendered. */
  readonly code: 'RENDER_FAILED' | 'RENDER_LIMIT' | 'PACK_NOT_FOUND';
  readonly reason: string;
  readonly hint?: string | undefined;
}
