import type { RetryEvent } from '../../oci-client/retry-policy.ts';
import { formatDuration } from '../../report/units.ts';
import type { Progress } from './progress.ts';

/** Tells of each retry in one line. */
export function retryNotice(progress: Progress): (event: RetryEvent) => void {
  return ({ message, delayMs }) => {
    const what = delayMs === 0 ? message : `retrying in ${formatDuration(delayMs)}: ${message}`;
    progress.note('retry', what, { reason: message, delayMs: Math.round(delayMs) });
  };
}
