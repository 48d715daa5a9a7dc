import { describe, expect, it } from 'vitest';

import { decodePartList, encodePartList, type PartList } from '../../src/bundle/part-list.ts';
import { expectError } from '../support/expect-error.ts';

const bundle = 'core-a-0123456789abcdef.tar.zst';
const sha256 = 'ab'.repeat(32);
const list: PartList = {
  bundle,
  id: '0123456789abcdef',
  size: 250,
  parts: [
    { name: `${bundle}_part00`, size: 100, sha256 },
    { name: `${bundle}_part01`, size: 100, sha256 },
    { name: `${bundle}_part02`, size: 50, sha256 },
  ],
};

function bytesOf(value: unknown): Buffer {
  return Buffer.from(`${JSON.stringify(value)}\n`);
}

describe('a list of parts', () => {
  it('is read as it was written', () => {
    expect(decodePartList(encodePartList(list), 'x')).toEqual(list);
    expect(encodePartList(list).equals(bytesOf(list))).toBe(true);
  });

  /** Parts of these sizes, whose names and sum are right. */
  function ofSizes(...sizes: readonly number[]): PartList {
    const parts = sizes.map((size, number) => ({ name: `${bundle}_part0${number}`, size, sha256 }));
    return { ...list, size: sizes.reduce((sum, size) => sum + size, 0), parts };
  }

  it.each<[string, unknown, string]>([
    [
      'a path out of its folder',
      { ...list, bundle: '../x', parts: [{ name: '../x_part00', size: 250, sha256 }] },
      'at bundle',
    ],
    ['an absolute path', { ...list, bundle: '/etc/passwd' }, 'at bundle'],
    ['a control character', { ...list, bundle: 'a\u0000b' }, 'at bundle'],
    ['a hidden name', { ...list, bundle: '.x', parts: [{ name: '.x_part00', size: 250, sha256 }] }, 'at bundle'],
    [
      'an option of a command',
      { ...list, bundle: '-x', parts: [{ name: '-x_part00', size: 250, sha256 }] },
      'at bundle',
    ],
    ['a name that is too long', { ...list, bundle: 'x'.repeat(201) }, 'at bundle'],
    [
      'a part of another name',
      { ...list, parts: list.parts.map((part) => ({ ...part, name: `${bundle}_part00` })) },
      'part 1 is not',
    ],
    [
      'another name for the first part',
      { ...list, parts: list.parts.with(0, { name: 'x', size: 100, sha256 }) },
      'part 0 is not',
    ],
    ['parts in another order', { ...list, parts: list.parts.toReversed() }, 'part 0 is not'],
    ['a first part that is smaller', ofSizes(99, 100, 100), 'not of one size'],
    ['a part that is smaller in the middle', ofSizes(100, 99, 100), 'not of one size'],
    ['a last part that is larger', ofSizes(100, 100, 101), 'not of one size'],
    ['sizes that do not add up', { ...list, size: 251 }, 'do not add up'],
    ['an empty last part', ofSizes(100, 100, 0), 'at parts[2].size'],
    ['no parts', { ...list, parts: [] }, 'do not add up'],
    ['no parts, and nothing in them', { ...list, size: 0, parts: [] }, 'at size'],
    ['a member that is not known', { ...list, more: 1 }, 'Unrecognized key: "more"'],
    [
      'one that is not known in a part',
      { ...list, parts: list.parts.map((part) => ({ ...part, more: 1 })) },
      'Unrecognized key: "more"',
    ],
    [
      'a checksum that is none',
      { ...list, parts: list.parts.map((part) => ({ ...part, sha256: 'AB'.repeat(32) })) },
      'at parts[0].sha256',
    ],
    ['an id that is none', { ...list, id: 'x' }, 'at id'],
    ['no object', 'text', 'expected object'],
  ])('is refused with %s, saying so', async (_, value, message) => {
    await expectError('BUNDLE_INVALID', message, () => decodePartList(bytesOf(value), "'x'"));
    await expectError('BUNDLE_INVALID', "the list of parts 'x' cannot be used", () =>
      decodePartList(bytesOf(value), "'x'"),
    );
  });

  it('may have parts of one size only, and a single one', () => {
    for (const sound of [ofSizes(100, 100), ofSizes(7)]) expect(decodePartList(bytesOf(sound), 'x')).toEqual(sound);
  });

  it('is refused before it is read where it is larger than any', async () => {
    const large = Buffer.alloc(16 * 1024 * 1024 + 1, ' ');
    await expectError('BUNDLE_INVALID', 'more than 16777216 bytes', () => decodePartList(large, 'x'));
  });

  it('is refused in any other form than the canonical one', async () => {
    for (const text of [JSON.stringify(list), `${JSON.stringify(list, undefined, 2)}\n`, '{', '']) {
      await expectError('BUNDLE_INVALID', 'cannot be used', () => decodePartList(Buffer.from(text), 'x'));
    }
    const reordered = bytesOf({ id: list.id, bundle, size: list.size, parts: list.parts });
    await expectError('BUNDLE_INVALID', 'canonical', () => decodePartList(reordered, 'x'));
  });
});
