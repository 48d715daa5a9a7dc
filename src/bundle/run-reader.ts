import { compressedFrameContentBytes, type FrameRun, storedFrameContentBytes } from './bundle-layout.ts';
import { type ReadAt, readStoredRun } from './stored-run.ts';
import { decompressFrame } from './zstd-codec.ts';

/** How much content each frame of a run has, in bytes. */
export function frameContents(run: FrameRun): number[] {
  const cut = run.kind === 'stored' ? storedFrameContentBytes : compressedFrameContentBytes;
  return Array.from({ length: run.frameCount }, (_, number) => Math.min(cut, run.contentBytes - number * cut));
}

/**
 * Content `from` to `to` of a run that starts at `start` of the file, as far as it is there.
 *
 * @param frames the compressed sizes of its frames; only needed for a compressed run
 * @throws EdgeBundleError BUNDLE_INVALID where a frame is damaged
 */
export async function* readRun(
  read: ReadAt,
  run: FrameRun,
  start: number,
  frames: readonly number[],
  from: number,
  to: number,
): AsyncGenerator<Buffer> {
  if (run.kind === 'stored') {
    yield* readStoredRun(read, { start, contentBytes: run.contentBytes }, from, to);
    return;
  }
  const contents = frameContents(run);
  let [position, offset] = [start, 0];
  for (const [index, bytes] of frames.entries()) {
    const content = contents[index] ?? 0;
    if (offset < to && offset + content > from) {
      const frame = decompressFrame(await read(position, bytes), content);
      yield frame.subarray(Math.max(0, from - offset), Math.min(content, to - offset));
    }
    position += bytes;
    offset += content;
  }
}
