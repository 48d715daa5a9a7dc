import { describe, expect, it } from 'vitest';

import { formatQuantity, quantityBytes } from '../../src/lint/quantity.ts';

describe('quantityBytes', () => {
  it.each([
    ['20Gi', 21_474_836_480],
    ['1.5G', 1_500_000_000],
    ['1e9', 1_000_000_000],
    ['512', 512],
    [1024, 1024],
    ['100Mi', 104_857_600],
    ['3Ti', 3_298_534_883_328],
  ])('reads %s as bytes', (text, bytes) => {
    expect(quantityBytes(text)).toBe(bytes);
  });

  it.each(['', 'Gi', '20 Gi', '20GB', '-1Gi', '1,5Gi', undefined, {}, true])('finds no size in %j', (value) => {
    expect(quantityBytes(value)).toBeUndefined();
  });
});

describe('formatQuantity', () => {
  it('rounds up, so that what is suggested is enough', () => {
    expect(formatQuantity(24.01 * 1024 ** 3)).toBe('25Gi');
    expect(formatQuantity(1)).toBe('1Gi');
  });
});
