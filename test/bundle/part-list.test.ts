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

  it.each<[string, unknown]>([
    ['a path out of its folder', { ...list, bundle: '../x', parts: [{ name: '../x_part00', size: 250, sha256 }] }],
    ['an absolute path', { ...list, bundle: '/etc/passwd' }],
    ['a control character', { ...list, bundle: 'a\u0000b' }],
    ['a part of another name', { ...list, parts: list.parts.map((part) => ({ ...part, name: `${bundle}_part00` })) }],
    ['parts in another order', { ...list, parts: list.parts.toReversed() }],
    ['a first part that is smaller', { ...list, size: 150, parts: list.parts.slice(1) }],
    ['sizes that do not add up', { ...list, size: 251 }],
    [
      'an empty last part',
      { ...list, size: 200, parts: list.parts.with(2, { name: `${bundle}_part02`, size: 0, sha256 }) },
    ],
    ['no parts', { ...list, size: 0, parts: [] }],
    ['a member that is not known', { ...list, more: 1 }],
    ['a checksum that is none', { ...list, parts: list.parts.map((part) => ({ ...part, sha256: 'AB'.repeat(32) })) }],
    ['an id that is none', { ...list, id: 'x' }],
    ['no object', 'text'],
  ])('is refused with %s', async (_, value) => {
    await expectError('BUNDLE_INVALID', "the list of parts 'x' cannot be used", () =>
      decodePartList(bytesOf(value), "'x'"),
    );
  });

  it('is refused in any other form than the canonical one', async () => {
    for (const text of [JSON.stringify(list), `${JSON.stringify(list, undefined, 2)}\n`, '{', '']) {
      await expectError('BUNDLE_INVALID', 'cannot be used', () => decodePartList(Buffer.from(text), 'x'));
    }
    const reordered = bytesOf({ id: list.id, bundle, size: list.size, parts: list.parts });
    await expectError('BUNDLE_INVALID', 'canonical', () => decodePartList(reordered, 'x'));
  });
});
