import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { EdgeBundleError } from '../../src/errors.ts';
import { Patience } from '../../src/loader/patience.ts';
import { RetryPolicy } from '../../src/oci-client/retry-policy.ts';

const gone = new EdgeBundleError('REGISTRY_UNAVAILABLE', 'the registry is gone');

function patient(waitMs: number): { patience: Patience; waits: () => number } {
  let waits = 0;
  const patience = new Patience({
    retries: new RetryPolicy({ retryBaseMs: 1 }, new AbortController().signal),
    waitMs,
    untilReady: () => {
      waits += 1;
      return Promise.resolve();
    },
  });
  return { patience, waits: () => waits };
}

describe('patience', () => {
  it('does not count what a step takes as a wait: an upload that is longer than the limit is waited for too', async () => {
    const { patience, waits } = patient(400);
    let tried = 0;
    const result = await patience.attempt(async () => {
      tried += 1;
      if (tried > 1) return 'done';
      await sleep(600);
      throw gone;
    });
    expect(result).toBe('done');
    expect(waits()).toBe(1);
  });

  it('ends where a registry that seems to be ready takes nothing for as long as the limit', async () => {
    const { patience, waits } = patient(30);
    await expect(patience.attempt(() => Promise.reject(gone))).rejects.toBe(gone);
    expect(waits()).toBeGreaterThan(0);
  });

  it('counts the silence of a registry as a wait', async () => {
    const { patience } = patient(20);
    const silence = new EdgeBundleError('TIMEOUT', 'nothing came');
    const silent = async (): Promise<never> => {
      await sleep(60);
      throw silence;
    };
    await expect(patience.attempt(silent)).rejects.toBe(silence);
  });
});
