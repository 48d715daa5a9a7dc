import { EdgeBundleError } from '../errors.ts';
import { freeBytes } from '../files/free-space.ts';
import { type BundleLayout, reservedFrameBytes } from './bundle-layout.ts';
import { PartialFile } from './partial-file.ts';
import { frameContents } from './run-reader.ts';
import { seekTableBytes } from './seek-table.ts';
import { storedFrameBytes } from './stored-frame.ts';

/** The most that the file of a bundle can take, in bytes: exact but for compressed frames, which are counted at their worst. */
export function peakBundleBytes(layout: BundleLayout): number {
  let bytes = seekTableBytes(layout.frameCount);
  for (const run of layout.runs) {
    if (run.kind === 'reserved') bytes += reservedFrameBytes;
    // Content that cannot be compressed ends up in raw blocks, as in a stored frame, and a few bytes more.
    else for (const content of frameContents(run)) bytes += storedFrameBytes(content) + (run.kind === 'zstd' ? 64 : 0);
  }
  return bytes;
}

/** @throws EdgeBundleError NO_SPACE where the bundle may not fit on the disk, what is in `partialPath` already included */
export async function ensureSpace(folder: string, partialPath: string, layout: BundleLayout): Promise<void> {
  const needed = peakBundleBytes(layout) - (await PartialFile.allocatedBytes(partialPath));
  const free = await freeBytes(folder);
  if (needed <= free) return;
  throw new EdgeBundleError(
    'NO_SPACE',
    `the bundle needs ${needed} more bytes in '${folder}'; ${free} are free there`,
    { hint: 'Free some space, or choose another place with --out. Nothing was downloaded yet.' },
  );
}
