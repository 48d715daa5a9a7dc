import { EdgeBundleError } from '../errors.ts';
import { storedFrameContentBytes } from './bundle-layout.ts';
import {
  storedBlockBytes,
  storedBlockHeader,
  storedBlockHeaderBytes,
  storedFrameBytes,
  storedFrameHeader,
  storedFrameHeaderBytes,
  storedFrameOffset,
} from './stored-frame.ts';

/** Reads `length` bytes of the file from `position`. */
export type ReadAt = (position: number, length: number) => Promise<Buffer>;

/** A run of stored frames: where it starts in the file, and how much content it has. In bytes. */
export interface StoredRun {
  readonly start: number;
  readonly contentBytes: number;
}

/** How many blocks of a stored frame are read at once. */
const slabBlocks = 8;

/** Where the content at `offset` of a run begins in the file, with the headers before it (see `storedFrameOffset`). */
export function storedRunPosition(run: StoredRun, offset: number): number {
  const frame = Math.floor(offset / storedFrameContentBytes);
  return (
    run.start +
    frame * storedFrameBytes(storedFrameContentBytes) +
    storedFrameOffset(offset - frame * storedFrameContentBytes)
  );
}

/** How many bytes of the file a run of `contentBytes` takes. */
export function storedRunBytes(contentBytes: number): number {
  return storedRunPosition({ start: 0, contentBytes }, contentBytes);
}

/** `chunk`, which belongs at `offset` of the run, cut into blocks, with the headers that go between. Nothing is copied. */
export function frameChunk(run: StoredRun, offset: number, chunk: Buffer): Buffer[] {
  const pieces: Buffer[] = [];
  for (let taken = 0; taken < chunk.byteLength;) {
    const at = offset + taken;
    const inFrame = at % storedFrameContentBytes;
    const frameBytes = Math.min(storedFrameContentBytes, run.contentBytes - (at - inFrame));
    if (inFrame === 0) pieces.push(storedFrameHeader(frameBytes));
    const inBlock = inFrame % storedBlockBytes;
    if (inBlock === 0) pieces.push(storedBlockHeader(frameBytes, inFrame));
    const size = Math.min(chunk.byteLength - taken, storedBlockBytes - inBlock, frameBytes - inFrame);
    pieces.push(chunk.subarray(taken, taken + size));
    taken += size;
  }
  return pieces;
}

/** Content `from` to `to` of a run. @throws EdgeBundleError BUNDLE_INVALID where a header is not as it has to be */
export async function* readStoredRun(read: ReadAt, run: StoredRun, from: number, to: number): AsyncGenerator<Buffer> {
  for (let at = from; at < to;) {
    const frameStart = at - (at % storedFrameContentBytes);
    const contentBytes = Math.min(storedFrameContentBytes, run.contentBytes - frameStart);
    const end = Math.min(to - frameStart, contentBytes);
    const start = storedRunPosition(run, frameStart);
    yield* readStoredFrame(read, { start, contentBytes }, at - frameStart, end);
    at = frameStart + end;
  }
}

/** The same for one frame. The next slab is read while this one is consumed. */
async function* readStoredFrame(read: ReadAt, frame: StoredRun, from: number, to: number): AsyncGenerator<Buffer> {
  const endBlock = Math.ceil(to / storedBlockBytes);
  const readSlab = (block: number): Promise<Buffer> => {
    // Not a byte behind `to`: in an unfinished bundle the file may end there.
    const content = Math.min(to, (block + slabBlocks) * storedBlockBytes) - block * storedBlockBytes;
    const headers = storedBlockHeaderBytes * Math.ceil(content / storedBlockBytes);
    return read(
      frame.start + storedFrameOffset(block * storedBlockBytes),
      content + headers + (block === 0 ? storedFrameHeaderBytes : 0),
    );
  };
  let block = Math.floor(from / storedBlockBytes);
  let next: Promise<Buffer> | undefined = readSlab(block);
  while (next !== undefined) {
    const slab: Buffer = await next;
    const following = block + slabBlocks;
    next = following < endBlock ? readSlab(following) : undefined;
    // A consumer that stops early leaves this read behind; its failure is nobody's then.
    next?.catch(() => undefined);
    let position = 0;
    if (block === 0) {
      expectBytes(slab.subarray(0, storedFrameHeaderBytes), storedFrameHeader(frame.contentBytes), frame);
      position = storedFrameHeaderBytes;
    }
    for (; position < slab.byteLength; block += 1) {
      const blockStart = block * storedBlockBytes;
      const size = Math.min(storedBlockBytes, frame.contentBytes - blockStart);
      const header = slab.subarray(position, position + storedBlockHeaderBytes);
      expectBytes(header, storedBlockHeader(frame.contentBytes, blockStart), frame);
      position += storedBlockHeaderBytes;
      // The slab ends at `to`.
      yield slab.subarray(position + Math.max(0, from - blockStart), position + size);
      position += size;
    }
  }
}

function expectBytes(actual: Buffer, expected: Buffer, frame: StoredRun): void {
  if (actual.equals(expected)) return;
  throw new EdgeBundleError(
    'BUNDLE_INVALID',
    `the framing of the frame at byte ${frame.start} of the bundle is damaged`,
  );
}
