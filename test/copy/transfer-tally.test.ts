import { describe, expect, it } from 'vitest';

import { TransferTally } from '../../src/copy/transfer-tally.ts';
import { EdgeBundleError } from '../../src/errors.ts';
import { blob } from '../support/graphs.ts';

const { descriptor } = blob(Buffer.alloc(1000));

describe('the tally of a transfer', () => {
  it('counts what an earlier run has done, and not how fast that was', () => {
    const tally = new TransferTally();
    tally.add({ type: 'started', descriptor });
    tally.expect(50_000_000_000, 49_999_999_000);
    expect(tally.doneBytes).toBe(49_999_999_000);
    expect(tally.bytesPerSecond).toBe(0);
    tally.add({ type: 'progress', descriptor, bytes: 1000 });
    expect(tally.doneBytes).toBe(50_000_000_000);
  });

  it('counts content once, and anew where it is fetched again', () => {
    const tally = new TransferTally();
    tally.expect(1000);
    tally.add({ type: 'started', descriptor });
    tally.add({ type: 'progress', descriptor, bytes: 600 });
    expect(tally.running).toEqual([{ digest: descriptor.digest, totalBytes: 1000, doneBytes: 600 }]);
    tally.add({ type: 'restarted', descriptor, reason: new EdgeBundleError('DIGEST_MISMATCH', 'other bytes came') });
    expect(tally.doneBytes).toBe(0);
    tally.add({ type: 'progress', descriptor, bytes: 1000 });
    tally.add({ type: 'finished', descriptor, outcome: 'copied' });
    expect(tally.running).toEqual([]);
    expect(tally.doneBytes).toBe(1000);
  });
});
