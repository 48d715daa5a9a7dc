import type { Descriptor } from '../content/descriptor.ts';
import type { OperationOptions, ReadOnlyContentStore } from '../content/store.ts';
import { readContent } from '../content/verify.ts';
import { throwIfAborted } from '../errors.ts';
import { CompressedRunWriter } from './blob-writer.ts';
import { blobDescriptor, bundleIdentity } from './bundle-document.ts';
import type { BundleLayout, FrameRun } from './bundle-layout.ts';
import type { PartialFile } from './partial-file.ts';
import type { Placement } from './placement.ts';
import { frameContents } from './run-reader.ts';
import { encodeSignatureFile } from './signature-file.ts';
import { storedFrameBytes } from './stored-frame.ts';
import { frameChunk } from './stored-run.ts';
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
    if (layout.entries[run.firstEntry] === layout.signatures) {
      await writeNoSignatures(file, run, options);
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

/** The place of signatures, which are made when the bundle is complete: then nothing else of it changes. */
async function writeNoSignatures(file: PartialFile, run: FrameRun, { layout, placement }: HeadOptions): Promise<void> {
  const { path } = layout.signatures;
  const content = encodeSignatureFile(bundleIdentity(layout.documentBytes).digest, []);
  const entry = tarEntry(path, content, layout.document.sourceDateEpoch);
  await file.write(frameChunk({ start: placement.end, contentBytes: run.contentBytes }, 0, entry), placement.end);
  placement.append(run, frameContents(run).map(storedFrameBytes));
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
