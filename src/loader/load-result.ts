import type { MissingContent } from './verify-registry.ts';

/** Blobs are configs, layers and files, each counted once in each repository; manifests are not among them. */
export interface LoadResult {
  readonly images: number;
  /** Charts and packs. */
  readonly charts: number;
  readonly blobs: { readonly uploaded: number; readonly mounted: number; readonly present: number };
  /** Of the blobs; `mounted` is what did not have to be sent because another repository had it. */
  readonly bytes: { readonly uploaded: number; readonly mounted: number; readonly present: number };
  readonly missing: readonly MissingContent[];
}
