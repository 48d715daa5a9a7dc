import type { CopyEvent } from '../copy/copier.ts';
import type { EdgeBundleError } from '../errors.ts';
import type { PlannedImage } from './load-plan.ts';
import type { LoadResult } from './load-result.ts';

/** What happens during a load: to images, and what the copier tells of blobs and manifests. */
export type LoadEvent =
  | CopyEvent
  | { readonly type: 'image-started'; readonly image: PlannedImage }
  | { readonly type: 'image-finished'; readonly image: PlannedImage; readonly outcome: 'loaded' | 'present' }
  | { readonly type: 'image-failed'; readonly image: PlannedImage; readonly error: EdgeBundleError }
  | { readonly type: 'verifying'; readonly images: number }
  /** The last event, also where something is missing and the load fails for it. */
  | { readonly type: 'verified'; readonly result: LoadResult };
