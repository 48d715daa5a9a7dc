import { describe, expect, it } from 'vitest';

import { compareVersions } from '../../src/palette/version-order.ts';

describe('compareVersions', () => {
  it('orders by Semantic Versioning 2.0.0, section 11, and what is no version first', () => {
    const ordered = [
      'draft',
      '1.0.0-alpha',
      '1.0.0-alpha.1',
      '1.0.0-alpha.beta',
      '1.0.0-beta',
      '1.0.0-beta.2',
      '1.0.0-beta.11',
      '1.0.0-rc.1',
      '1.0.0',
      '1.9.0',
      'v1.10.0',
      '2.0.0',
    ];
    for (const [index, one] of ordered.entries()) {
      for (const [otherIndex, other] of ordered.entries()) {
        expect(Math.sign(compareVersions(one, other)), `${one} and ${other}`).toBe(Math.sign(index - otherIndex));
      }
    }
    expect(compareVersions('1.0.0+a', '1.0.0+b')).toBe(0);
  });
});
