import type { Descriptor } from '../content/descriptor.ts';
import type { OperationOptions, ReadOnlyContentStore } from '../content/store.ts';
import { readContent } from '../content/verify.ts';
import { throwIfAborted } from '../errors.ts';
import { CompressedRunWriter } from './blob-writer.ts';
import { blobDescriptor } from './bundle-document.ts';
import { type BundleLayout, type FrameRun, reservedFrameBytes } from './bundle-layout.ts';
import type { PartialFile } from './partial-file.ts';
import type { Placement } from './placement.ts';
import { reservedFrame } from './seek-table.ts';
import { tarEntry } from './tar-entry.ts';

export interface HeadOptions extends OperationOptions {
  readonly layout: BundleLayout;
  readonly metadata: ReadOnlyContentStore;
  readonly placement: Placement;
}

/** What is in place before anything is pushed. */
export interface Head {
  /** Where in the file it ends, and the first blob that is pushed begins. */
  readonly end: number;
  /** The blobs in it. */
  readonly blobs: readonly Descriptor[];
}

/**
 * Writes what comes before the first blob that is pushed, and gives every run after it a place.
 *
 * @throws EdgeBundleError NO_SPACE, FILE_FAILED, ABORTED, and what `metadata` throws
 */
export async function writeHead(file: PartialFile, options: HeadOptions): Promise<Head> {
  const { layout, placement, signal } = options;
  const blobs: Descriptor[] = [];
  let end: number | undefined;
  for (const run of layout.runs.slice(0, -1)) {
    throwIfAborted(signal);
    if (run.kind === 'reserved') {
      await file.write([reservedFrame(reservedFrameBytes)], placement.end);
      placement.append(run, [reservedFrameBytes]);
    } else if (end === undefined && (await isMetadata(run, options))) {
      await writeRun(file, run, options);
      blobs.push(...blobsOf(run, layout));
    } else {
      end ??= placement.end;
      placement.reserve(run);
    }
  }
  return { end: end ?? placement.end, blobs };
}

async function isMetadata(run: FrameRun, { layout, metadata }: HeadOptions): Promise<boolean> {
  if (run.kind !== 'zstd') return false;
  for (const blob of blobsOf(run, layout)) if (!(await metadata.exists(blob))) return false;
  return true;
}

function blobsOf({ firstEntry, endEntry }: FrameRun, { entries }: BundleLayout): readonly Descriptor[] {
  return entries
    .slice(firstEntry, endEntry)
    .flatMap(({ digest, size }) => (digest === undefined ? [] : [blobDescriptor({ digest, size })]));
}

async function writeRun(file: PartialFile, run: FrameRun, options: HeadOptions): Promise<void> {
  const { layout, metadata, placement, signal } = options;
  const frames: number[] = [];
  const writer = new CompressedRunWriter(file, placement.end, (bytes) => {
    frames.push(bytes);
    return Promise.resolve();
  });
  for (const { path, digest, size } of layout.entries.slice(run.firstEntry, run.endEntry)) {
    const content =
      digest === undefined
        ? layout.head.find((part) => part.path === path)?.bytes
        : await readContent(metadata, blobDescriptor({ digest, size }), { signal });
    await writer.add(tarEntry(path, content ?? Buffer.alloc(0), layout.document.sourceDateEpoch));
  }
  await writer.end();
  placement.append(run, frames);
}
