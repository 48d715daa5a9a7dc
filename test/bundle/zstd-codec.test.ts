import { buffer } from 'node:stream/consumers';

import { describe, expect, it } from 'vitest';

import { maxCompressedFrameBytes } from '../../src/bundle/bundle-layout.ts';
import { compressFrame, decompressFrame, decompressStream } from '../../src/bundle/zstd-codec.ts';
import { text } from '../support/bundles.ts';
import { expectError } from '../support/expect-error.ts';
import { noise, sha256 } from '../support/graphs.ts';
import { runProgram } from '../support/run-program.ts';

const mib = 1024 * 1024;

describe('a compressed frame', () => {
  it.each([
    ['text', text(mib)],
    ['noise', noise(mib, 'codec')],
    ['zeros', Buffer.alloc(1024)],
    ['a byte', Buffer.from('x')],
  ])('of %s is decompressed by zstd, and by us', (_, content) => {
    const frame = compressFrame(content);
    expect(sha256(runProgram('zstd', ['-dc'], { input: frame }))).toBe(sha256(content));
    expect(sha256(decompressFrame(frame, content.byteLength))).toBe(sha256(content));
    expect(frame.byteLength).toBeLessThan(maxCompressedFrameBytes);
  });

  it('is decompressed as a stream', async () => {
    const content = text(500_000);
    const stream = decompressStream();
    stream.end(compressFrame(content));
    expect(sha256(await buffer(stream))).toBe(sha256(content));
  });

  it('made by zstd itself is decompressed', () => {
    const content = text(500_000);
    const frame = runProgram('zstd', ['-9', '-c'], { input: content });
    expect(decompressFrame(frame, content.byteLength).equals(content)).toBe(true);
  });

  it('states its size and has a checksum', () => {
    // Frame_Header_Descriptor (RFC 8878, section 3.1.1.1.1): Frame_Content_Size of 4 bytes, single segment, checksum.
    expect(compressFrame(text(mib)).readUInt8(4)).toBe(0b1010_0100);
  });

  it('has the same bytes for the same content, whatever was compressed before it', () => {
    const frames = [text(100_000), noise(mib, 'between'), text(100_000), text(5), text(100_000)].map(compressFrame);
    expect(frames[2]?.equals(frames[0] ?? Buffer.alloc(0))).toBe(true);
    expect(frames[4]?.equals(frames[0] ?? Buffer.alloc(0))).toBe(true);
  });

  it('is refused where it is damaged, or has another size than expected', async () => {
    const content = text(100_000);
    const frame = compressFrame(content);
    const flipped = Buffer.from(frame);
    flipped.writeUInt8(flipped.readUInt8(100) ^ 1, 100);
    for (const [bytes, size] of [
      [flipped, 100_000],
      [frame.subarray(0, -1), 100_000],
      [Buffer.concat([frame, Buffer.from('x')]), 100_000],
      [frame, 99_999],
      [frame, 100_001],
      [Buffer.alloc(0), 1],
      [noise(500, 'no frame'), 1],
    ] as const) {
      await expectError('BUNDLE_INVALID', 'frame of the bundle', () => decompressFrame(bytes, size));
    }
    expect(decompressFrame(frame, 100_000).equals(content)).toBe(true);
  });
});
