import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  storedBlockBytes,
  storedBlockHeader,
  storedFrameBytes,
  storedFrameHeader,
  storedFrameOffset,
} from '../../src/bundle/stored-frame.ts';
import { rawFrame } from '../support/bundle-archive.ts';
import { noise } from '../support/graphs.ts';
import { runProgram } from '../support/run-program.ts';

const content = noise(3 * storedBlockBytes + 1000, 'stored frame');

function framed(size: number): Buffer {
  const pieces = [storedFrameHeader(size)];
  for (let at = 0; at < size; at += storedBlockBytes) {
    pieces.push(storedBlockHeader(size, at), content.subarray(at, Math.min(size, at + storedBlockBytes)));
  }
  return Buffer.concat(pieces);
}

describe('a stored frame', () => {
  it('has the bytes that docs/bundle-format.md shows', () => {
    expect(storedFrameHeader(5).toString('hex')).toBe('28b52ffd803805000000');
    expect(storedBlockHeader(5, 0).toString('hex')).toBe('290000');
    expect(storedBlockHeader(storedBlockBytes, 0).toString('hex')).toBe('010010');
    expect(storedBlockHeader(storedBlockBytes + 1, 0).toString('hex')).toBe('000010');
    expect(storedBlockHeader(storedBlockBytes + 1, storedBlockBytes).toString('hex')).toBe('090000');
  });

  it('holds more than 256 MiB in a header of 4 bytes', () => {
    expect(storedFrameHeader(512 * 1024 * 1024).toString('hex')).toBe('28b52ffd803800000020');
  });

  it.each([1, 2, 511, 512, 131_071, 131_072, 131_073, 262_143, 262_144, 262_145, 394_216])(
    'is decompressed by zstd, with %d bytes in it',
    (size) => {
      const frame = framed(size);
      expect(frame).toHaveLength(storedFrameBytes(size));
      expect(runProgram('zstd', ['-dc'], { input: frame }).equals(content.subarray(0, size))).toBe(true);
    },
  );

  it('is decompressed by zstd, with any number of bytes in it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: content.byteLength }), (size) => {
        const frame = framed(size);
        expect(frame.equals(rawFrame(content.subarray(0, size)))).toBe(true);
        expect(runProgram('zstd', ['-dc'], { input: frame }).equals(content.subarray(0, size))).toBe(true);
      }),
      { numRuns: 15 },
    );
  });

  it('needs a window of 128 KiB at most', () => {
    const frame = framed(content.byteLength);
    expect(runProgram('zstd', ['-dc', '--memory=128KiB'], { input: frame })).toHaveLength(content.byteLength);
  });

  it('has the byte at each offset where it says', () => {
    const frame = framed(content.byteLength);
    fc.assert(
      fc.property(fc.nat(content.byteLength - 1), (offset) => {
        const isAtStart = offset === 0;
        const isAtBlock = offset % storedBlockBytes === 0;
        const headers = (isAtStart ? 10 : 0) + (isAtBlock ? 3 : 0);
        expect(frame[storedFrameOffset(offset) + headers]).toBe(content[offset]);
      }),
    );
    expect(storedFrameOffset(storedBlockBytes)).toBe(10 + 3 + storedBlockBytes);
    expect(storedFrameOffset(storedBlockBytes - 1)).toBe(10 + 3 + storedBlockBytes - 1);
    expect(storedFrameOffset(storedBlockBytes + 1)).toBe(10 + 6 + storedBlockBytes + 1);
  });
});
