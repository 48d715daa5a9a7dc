import type { CopyEvent } from '../copy/copier.ts';
import type { EdgeBundleError } from '../errors.ts';
import type { PlannedImage } from './load-plan.ts';
import type { WaitEvent } from '../oci-client/wait-for.ts';
import type { LoadResult } from './load-result.ts';

/** What happens during a load: to images, and what the copier tells of blobs and manifests. */
export type LoadEvent =
  | CopyEvent
  /** The registry takes nothing for the moment, and is waited for; then it is ready again. */
  | WaitEvent
  /** Something that the user should know of, and that stops nothing. */
  | { readonly type: 'warning'; readonly message: string }
  | { readonly type: 'image-started'; readonly image: PlannedImage }
  | { readonly type: 'image-finished'; readonly image: PlannedImage; readonly outcome: 'loaded' | 'present' }
  | { readonly type: 'image-failed'; readonly image: PlannedImage; readonly error: EdgeBundleError }
  | { readonly type: 'verifying'; readonly images: number }
  /** The last event, also where something is missing and the load fails for it. */
  | { readonly type: 'verified'; readonly result: LoadResult };
