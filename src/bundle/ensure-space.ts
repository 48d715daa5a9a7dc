import { dirname } from 'node:path';

import { EdgeBundleError } from '../errors.ts';
import { freeBytes } from '../files/free-space.ts';
import type { BundleLayout, FrameRun } from './bundle-layout.ts';
import { PartialFile, type PartialFileOptions } from './partial-file.ts';
import { seekTableBytes } from './seek-table.ts';
import { storedRunBytes } from './stored-run.ts';

/** The most by which a compressed frame of content that cannot be compressed is larger than it: headers of frame and blocks. */
const compressedFrameOverheadBytes = 128;

/** The most that the file of a bundle can take, in bytes: exact but for compressed frames, which are counted at their worst. */
export function peakBundleBytes(layout: BundleLayout): number {
  return layout.runs.reduce((sum, run) => sum + peakRunBytes(run), seekTableBytes(layout.frameCount));
}

function peakRunBytes({ kind, contentBytes, frameCount }: FrameRun): number {
  return kind === 'stored' ? storedRunBytes(contentBytes) : contentBytes + frameCount * compressedFrameOverheadBytes;
}

/**
 * @param target the bundle's path
 * @throws EdgeBundleError NO_SPACE where it may not fit on the disk, what an earlier run has of it included
 */
export async function ensureSpace(target: string, layout: BundleLayout, options: PartialFileOptions): Promise<void> {
  const folder = dirname(target);
  const needed = peakBundleBytes(layout) - (await PartialFile.allocatedBytes(target, options));
  const free = await freeBytes(folder);
  if (needed <= free) return;
  throw new EdgeBundleError(
    'NO_SPACE',
    `the bundle needs ${needed} more bytes in '${folder}'; ${free} are free there`,
    { hint: 'Free some space, or choose another place with --out. Nothing was written.' },
  );
}
