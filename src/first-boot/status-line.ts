import { formatBytes, formatDuration } from '../report/units.ts';
import type { BundleStatus, FirstBootStatus } from '../report/first-boot-status.ts';

/** What the status says, in one line for the console and for `systemctl status`. */
export function statusLine(status: FirstBootStatus, { nowMs, bytesPerSecond }: LineFacts): string {
  const { state, waiting, bundles } = status;
  if (waiting !== undefined) {
    const waited = formatDuration(Math.max(0, nowMs - Date.parse(waiting.since)));
    const what = waiting.for === 'content' ? 'content' : status.registry;
    return `waiting for ${what}, ${waited} so far: ${waiting.reason}`;
  }
  const summary = summaryOf(bundles);
  if (state === 'done') return `done: ${summary}`;
  if (state === 'failed') return `failed: ${status.error?.message ?? summary}`;
  if (state === 'stopped') return `stopped: ${summary}; the next run goes on`;
  const current = bundles.findIndex(({ state: its }) => busyStates.has(its));
  const bundle = bundles[current];
  if (bundle !== undefined) {
    const of = bundles.length === 1 ? '' : ` (${current + 1} of ${bundles.length})`;
    return `${bundle.state} ${nameOf(bundle)}${of}${progressOf(bundle, bytesPerSecond)}`;
  }
  return bundles.length === 0 ? 'looking for content' : summary;
}

export interface LineFacts {
  readonly nowMs: number;
  readonly bytesPerSecond: number;
}

/** Of a bundle that something is being done with. */
export const busyStates: ReadonlySet<BundleStatus['state']> = new Set(['checking', 'waiting', 'loading', 'verifying']);

function nameOf({ name, id, path }: BundleStatus): string {
  return id === undefined ? `'${path}'` : `${name ?? ''} ${id}`;
}

function progressOf({ state, doneBytes, totalBytes }: BundleStatus, bytesPerSecond: number): string {
  if (state === 'verifying' || totalBytes === 0) return '';
  const left = bytesPerSecond > 0 ? (totalBytes - doneBytes) / bytesPerSecond : undefined;
  const rest = left === undefined || left < 1 ? '' : `, ${formatDuration(left * 1000)} left`;
  return `: ${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}, ${formatBytes(bytesPerSecond)}/s${rest}`;
}

/** `2 bundles loaded, 1 loaded earlier, 1 failed` */
function summaryOf(bundles: readonly BundleStatus[]): string {
  const count = (state: BundleStatus['state']): number => bundles.filter((bundle) => bundle.state === state).length;
  const [loaded, earlier, failed, found] = [count('loaded'), count('already-loaded'), count('failed'), count('found')];
  const parts = [
    [loaded, `${loaded} ${loaded === 1 ? 'bundle' : 'bundles'} loaded`],
    [earlier, `${earlier} already loaded`],
    [failed, `${failed} failed`],
    [found, `${found} still to load`],
  ] as const;
  const told = parts.filter(([number]) => number > 0).map(([, text]) => text);
  return told.length === 0 ? 'no bundle loaded' : told.join(', ');
}
