import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { frameChunk, readStoredRun, storedRunBytes, storedRunPosition } from '../../src/bundle/stored-run.ts';
import { rawFrame } from '../support/bundle-archive.ts';
import { expectError } from '../support/expect-error.ts';
import { noise } from '../support/graphs.ts';

const block = 128 * 1024;
const cut = 512 * 1024 * 1024;
/** How many bytes a full frame takes: its header, and 4096 blocks. */
const frameBytes = 10 + cut + 4096 * 3;
const content = noise(20 * block + 777, 'stored run');
const file = Buffer.concat([Buffer.alloc(100), rawFrame(content)]);
const run = { start: 100, contentBytes: content.byteLength };
const read = (position: number, length: number): Promise<Buffer> => {
  expect(position + length).toBeLessThanOrEqual(file.byteLength);
  return Promise.resolve(file.subarray(position, position + length));
};

async function collect(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

describe('a run of stored frames', () => {
  it('is framed the same way, whatever chunks it comes in', () => {
    const anySizes = fc.array(fc.integer({ min: 1, max: 300_000 }), { maxLength: 20 });
    fc.assert(
      fc.property(anySizes, (sizes) => {
        const pieces: Buffer[] = [];
        let position = 100;
        for (let at = 0, number = 0; at < content.byteLength; number += 1) {
          const chunk = content.subarray(at, at + (sizes[number] ?? 200_000));
          expect(storedRunPosition(run, at)).toBe(position);
          const framed = Buffer.concat(frameChunk(run, at, chunk));
          pieces.push(framed);
          position += framed.byteLength;
          at += chunk.byteLength;
        }
        expect(Buffer.concat(pieces).equals(file.subarray(100))).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it('gives back any range of its content', async () => {
    const offset = fc.oneof(
      fc.nat(content.byteLength),
      fc.nat(20).map((number) => number * block),
    );
    await fc.assert(
      fc.asyncProperty(offset, offset, async (one, other) => {
        const [from, to] = [Math.min(one, other), Math.max(one, other)];
        expect((await collect(readStoredRun(read, run, from, to))).equals(content.subarray(from, to))).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('reads from the start of the block that it needs to the end of the range, and no more', async () => {
    let bytes = 0;
    const counting = (position: number, length: number): Promise<Buffer> => {
      bytes += length;
      return read(position, length);
    };
    await collect(readStoredRun(counting, run, 5 * block + 10, 5 * block + 20));
    expect(bytes).toBe(3 + 20);
  });

  it('starts a new frame after 512 MiB', () => {
    const twoFrames = { start: 7, contentBytes: cut + 1000 };
    expect(storedRunPosition(twoFrames, cut)).toBe(7 + frameBytes);
    expect(storedRunPosition(twoFrames, cut - 1)).toBe(7 + frameBytes - 1);
    expect(storedRunPosition(twoFrames, cut + 1)).toBe(7 + frameBytes + 10 + 3 + 1);
    const pieces = frameChunk(twoFrames, cut - 1, content.subarray(0, 1001));
    expect(
      Buffer.concat(pieces).equals(Buffer.concat([content.subarray(0, 1), rawFrame(content.subarray(1, 1001))])),
    ).toBe(true);
    expect(storedRunBytes(cut + 1000)).toBe(frameBytes + 10 + 3 + 1000);
    expect(storedRunBytes(cut)).toBe(frameBytes);
  });

  it('is read across the border of two frames', async () => {
    const size = 3 * block;
    const twoFrames = { start: 0, contentBytes: cut + size };
    // A file that is all zeros but for the headers near the border.
    const border = rawFrame(Buffer.alloc(block)).subarray(10);
    border[0] = 1;
    const second = rawFrame(Buffer.alloc(size));
    const sparse = (position: number, length: number): Promise<Buffer> => {
      const bytes = Buffer.alloc(length);
      for (const [at, part] of [
        [frameBytes - border.byteLength, border],
        [frameBytes, second],
      ] as const) {
        const [from, to] = [Math.max(position, at), Math.min(position + length, at + part.byteLength)];
        if (from < to) part.copy(bytes, from - position, from - at, to - at);
      }
      return Promise.resolve(bytes);
    };
    const range = await collect(readStoredRun(sparse, twoFrames, cut - 1000, cut + size));
    expect(createHash('sha256').update(range).digest('hex')).toBe(
      createHash('sha256')
        .update(Buffer.alloc(1000 + size))
        .digest('hex'),
    );
  });

  it.each([
    ['the magic number', 0],
    ['the window', 5],
    ['the size of the frame', 7],
    ['the first block', 10],
    ['a later block', 10 + 3 + block],
    ['the last block', 10 + 20 * (3 + block)],
  ])('is refused where %s is damaged', async (_, offset) => {
    const damaged = Buffer.from(file);
    damaged.writeUInt8(damaged.readUInt8(100 + offset) ^ 0x20, 100 + offset);
    const readDamaged = (position: number, length: number): Promise<Buffer> =>
      Promise.resolve(damaged.subarray(position, position + length));
    await expectError('BUNDLE_INVALID', 'the frame at byte 100', () =>
      collect(readStoredRun(readDamaged, run, 0, content.byteLength)),
    );
  });

  it('ends with the failure of a read, and reads no more', async () => {
    let reads = 0;
    const failing = (position: number, length: number): Promise<Buffer> => {
      reads += 1;
      return reads > 1 ? Promise.reject(new Error('bad sector')) : read(position, length);
    };
    await expect(collect(readStoredRun(failing, run, 0, content.byteLength))).rejects.toThrow('bad sector');
    expect(reads).toBe(2);
  });

  it('may be left before its end, whatever becomes of the read that is under way', async () => {
    let reads = 0;
    const failing = (position: number, length: number): Promise<Buffer> => {
      reads += 1;
      return reads > 1 ? Promise.reject(new Error('bad sector')) : read(position, length);
    };
    for await (const chunk of readStoredRun(failing, run, 0, content.byteLength)) {
      expect(chunk.equals(content.subarray(0, block))).toBe(true);
      break;
    }
    // A rejection that nobody handles would be told now, and fail this file.
    await setImmediate();
    expect(reads).toBe(2);
  });
});
