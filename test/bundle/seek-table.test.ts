import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  decodeSeekTable,
  encodeSeekTable,
  seekTableBytes,
  seekTableFooterBytes,
  seekTableSize,
} from '../../src/bundle/seek-table.ts';
import { expectError } from '../support/expect-error.ts';

/** Two frames, of 0x11223344 and 5 bytes, with 0x01000000 and 0 bytes in them; by hand, from the published format. */
const golden = [
  '5e2a4d18', // magic of a skippable frame, number 14
  '19000000', // 25 bytes follow
  '44332211',
  '00000001',
  '05000000',
  '00000000',
  '02000000', // frames
  '00', // descriptor: no checksums
  'b1ea928f',
].join('');

const sizes = fc.record({ compressed: fc.nat(0xffffffff), content: fc.nat(0xffffffff) });

describe('a seek table', () => {
  it('is written as the published format says', () => {
    const table = encodeSeekTable([
      { compressed: 0x11223344, content: 0x01000000 },
      { compressed: 5, content: 0 },
    ]);
    expect(table.toString('hex')).toBe(golden);
    expect(seekTableBytes(2)).toBe(golden.length / 2);
  });

  it('is read as the published format says', () => {
    expect(decodeSeekTable(Buffer.from(golden, 'hex'))).toEqual([
      { compressed: 0x11223344, content: 0x01000000 },
      { compressed: 5, content: 0 },
    ]);
  });

  it('is read with checksums too, which are not looked at', () => {
    const table = [
      '5e2a4d1821000000',
      '01000000020000009a9a9a9a',
      '03000000040000009b9b9b9b',
      '0200000080b1ea928f',
    ].join('');
    expect(seekTableSize(Buffer.from(table, 'hex').subarray(-9))).toBe(table.length / 2);
    expect(decodeSeekTable(Buffer.from(table, 'hex'))).toEqual([
      { compressed: 1, content: 2 },
      { compressed: 3, content: 4 },
    ]);
  });

  it('comes back as it was written', () => {
    fc.assert(
      fc.property(fc.array(sizes, { maxLength: 50 }), (frames) => {
        const table = encodeSeekTable(frames);
        expect(seekTableSize(table.subarray(-seekTableFooterBytes))).toBe(table.byteLength);
        expect(decodeSeekTable(table)).toEqual(frames);
      }),
    );
  });

  it('is not seen where the last bytes are something else', () => {
    expect(seekTableSize(Buffer.from('02000000000b1ea928'.padEnd(18, '0'), 'hex'))).toBeUndefined();
    expect(seekTableSize(Buffer.alloc(0))).toBeUndefined();
    expect(seekTableSize(Buffer.from('b1ea928f', 'hex'))).toBeUndefined();
  });

  it.each([
    ['a number of frames that nobody can hold', 'ffffffff00b1ea928f', 'it claims 4294967295 frames'],
    ['more frames than a reader takes', '0100400000b1ea928f', 'it claims 4194305 frames; at most 4194304'],
    ['a reserved bit', '0100000004b1ea928f', 'reserved bits'],
    ['another reserved bit', '0100000040b1ea928f', 'reserved bits'],
  ])('is refused with %s in its footer', async (_, footer, message) => {
    await expectError('BUNDLE_INVALID', message, () => seekTableSize(Buffer.from(footer, 'hex')));
  });

  it.each([
    ['another magic number', golden.replace('5e2a4d18', '5f2a4d18'), 'magic number'],
    ['another size of its frame', golden.replace('19000000', '1a000000'), 'another size'],
    ['the checksum flag and entries of 8 bytes', golden.replace('00b1ea928f', '80b1ea928f'), 'disagree'],
    ['a frame less than it counts', golden.replace('02000000', '03000000'), 'disagree'],
    ['a frame more than it counts', golden.replace('0200000000b1', '0100000000b1'), 'disagree'],
    ['no end', golden.slice(0, 30), 'disagree'],
    ['nothing in it', '', 'disagree'],
  ])('is refused with %s', async (_, table, message) => {
    await expectError('BUNDLE_INVALID', message, () => decodeSeekTable(Buffer.from(table, 'hex')));
  });

  it('is never read beyond its end, whatever its bytes are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(8), (bytes, count) => {
        const table = Buffer.concat([bytes, Buffer.from([count, 0, 0, 0, 0]), Buffer.from('b1ea928f', 'hex')]);
        try {
          expect(decodeSeekTable(table)).toHaveLength(count);
        } catch (error) {
          expect(error).toMatchObject({ code: 'BUNDLE_INVALID' });
        }
      }),
    );
  });
});
