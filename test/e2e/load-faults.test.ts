import { afterAll, beforeAll, expect, it } from 'vitest';

import { LoadFaults } from '../support/load-faults.ts';

let faults: LoadFaults;

beforeAll(async () => {
  const image = [1_500_000, 800_000, 200_000];
  faults = await LoadFaults.prepare({ seed: 20_261_128, images: [image, image, image, [3_000_000], image] });
});

afterAll(() => faults.close());

/** The full measure of this is `npm run proof:load`. */
it('a load that is killed, and one whose Harbor restarts, end in the same registry, and no tag is ever visible too early', async () => {
  const killed = await faults.killed('killed', 4);
  const restarted = await faults.restarted('restarted', 2);
  expect(killed.disturbances).toBe(4);
  expect(restarted.disturbances).toBe(2);
  expect(restarted.endState).toEqual(killed.endState);
  expect(killed.endState).toHaveLength(5);
  for (const load of [killed, restarted]) {
    expect(load.violations).toEqual([]);
    expect(load.halfLoaded).toEqual([]);
    expect(load.watched.pulls).toBeGreaterThan(0);
    expect(load.uploadedBytes - load.lostBytes).toBeLessThanOrEqual(1.05 * load.blobBytes);
  }
});

it('a load that lasts many times as long as its tokens sends every byte once', async () => {
  // Not shorter: a busy machine may be late by as much as a token has left when it is used, a quarter of this.
  const load = await faults.expiring('expiring', 3_000, 1_200_000);
  expect(load.durationMs).toBeGreaterThan(9_000);
  expect(load.tokens).toBeGreaterThanOrEqual(3);
  expect(load.endState).toHaveLength(5);
  expect([load.violations, load.halfLoaded]).toEqual([[], []]);
  // A token may end between the check of it and the request.
  expect(load.refused).toBeLessThanOrEqual(load.tokens);
  expect(load.uploadedBytes - load.lostBytes).toBeLessThanOrEqual(1.05 * load.blobBytes);
});
