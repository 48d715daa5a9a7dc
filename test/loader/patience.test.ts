import { describe, expect, it } from 'vitest';

import { EdgeBundleError } from '../../src/errors.ts';
import { Patience } from '../../src/loader/patience.ts';
import { RetryPolicy } from '../../src/oci-client/retry-policy.ts';
import { passTime } from '../support/clock.ts';

const gone = new EdgeBundleError('REGISTRY_UNAVAILABLE', 'the registry is gone');

/** Waits for a minute at most; each wait until the registry is ready takes 40 seconds. */
function patient(): { patience: Patience; waits: () => number } {
  let waits = 0;
  const patience = new Patience({
    retries: new RetryPolicy({ retryBaseMs: 1 }, new AbortController().signal),
    waitMs: 60_000,
    untilReady: () => {
      waits += 1;
      passTime(40_000);
      return Promise.resolve();
    },
  });
  return { patience, waits: () => waits };
}

describe('patience', () => {
  it('does not count what a step takes as a wait: an upload that is longer than the limit is waited for too', async () => {
    const { patience, waits } = patient();
    let tried = 0;
    const result = await patience.attempt(() => {
      tried += 1;
      if (tried > 1) return Promise.resolve('done');
      passTime(90_000);
      return Promise.reject(gone);
    });
    expect(result).toBe('done');
    expect(waits()).toBe(1);
  });

  it('ends where a registry that seems to be ready takes nothing for as long as the limit', async () => {
    const { patience, waits } = patient();
    await expect(patience.attempt(() => Promise.reject(gone))).rejects.toBe(gone);
    expect(waits()).toBe(2);
  });

  it('counts the silence of a registry as a wait', async () => {
    const { patience, waits } = patient();
    const silence = new EdgeBundleError('TIMEOUT', 'nothing came');
    const silent = (): Promise<never> => {
      passTime(90_000);
      return Promise.reject(silence);
    };
    await expect(patience.attempt(silent)).rejects.toBe(silence);
    expect(waits()).toBe(0);
  });
});
