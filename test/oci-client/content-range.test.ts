import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { parseContentRange } from '../../src/oci-client/content-range.ts';

describe('Content-Range', () => {
  it('says which bytes come, and of how many', () => {
    expect(parseContentRange('bytes 0-0/1')).toEqual({ start: 0, last: 0, size: 1 });
    expect(parseContentRange('bytes 5-9/*')).toEqual({ start: 5, last: 9, size: undefined });
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.nat(), (start, more, rest) => {
        const last = start + more;
        const size = last + 1 + rest;
        expect(parseContentRange(`bytes ${start}-${last}/${size}`)).toEqual({ start, last, size });
      }),
    );
  });

  it.each([
    ...[
      '',
      'bytes */10',
      'bytes 0-9',
      'bytes=0-9/10',
      'lines 0-9/10',
      'bytes 0-9/10 ',
      'bytes 0-9/10\n',
      'bytes -1-9/10',
    ],
    ...[
      'bytes 9-0/10',
      'bytes 0-10/10',
      'bytes 0-9/0',
      'bytes 0-0x9/10',
      'bytes 0-1e3/10000',
      `bytes 0-${'9'.repeat(40)}/*`,
    ],
  ])('is none in %j', (text) => {
    expect(parseContentRange(text)).toBeUndefined();
  });
});
