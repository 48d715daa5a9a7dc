import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { trimEnd } from '../../src/content/trim-end.ts';
import { processorTimeOf } from '../support/processor-time.ts';

describe('trimEnd', () => {
  it('takes away what is at the end, and nothing else', () => {
    const text = fc.string({ unit: fc.constantFrom('/', '.', 'a', '\n', '\0') });
    fc.assert(
      fc.property(text, (each) => {
        expect(trimEnd(each, '/.')).toBe(each.replace(/[/.]+$/, ''));
        expect(trimEnd(each, '\0')).toBe(each.replace(/\0+$/, ''));
      }),
    );
  });

  it('takes no more time for many of them that are not at the end', () => {
    const hostile = `${'/'.repeat(2_000_000)}a`;
    expect(processorTimeOf(() => expect(trimEnd(hostile, '/')).toBe(hostile))).toBeLessThan(2_000);
  });
});
