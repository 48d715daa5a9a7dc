import type { Descriptor } from '../content/descriptor.ts';
import type { ByteRange } from '../content/store.ts';
import { EdgeBundleError } from '../errors.ts';

/** Bytes `start` up to, but not including, `end`. */
export interface RangeBounds {
  readonly start: number;
  readonly end: number;
}

/** Where a range of `target` starts and ends. @throws EdgeBundleError FAILED where it is not within the content */
export function rangeBounds(target: Descriptor, range: ByteRange = { start: 0 }): RangeBounds {
  const { start, end = target.size } = range;
  if (start >= 0 && start <= end && end <= target.size) return { start, end };
  throw new EdgeBundleError(
    'FAILED',
    `bytes ${start} to ${end} are not within the ${target.size} bytes of ${target.digest}`,
  );
}
