import { describe, expect, it } from 'vitest';

import { type BinaryTargets, openBinaryTargets } from './binary-targets.ts';
import { runTarget } from './run-target.ts';
import { textTargets } from './text-targets.ts';

/** `npm run fuzz` gives each parser many more, in a process of its own. */
const inputs = 2_000;

const binary: BinaryTargets = await openBinaryTargets();

describe('whatever somebody else wrote', () => {
  it.each([...textTargets, ...binary.targets].map((target) => [target.name, target] as const))(
    'as %s gives a result or an error that says what is wrong',
    async (_, target) => {
      const { accepted, inputs: count } = await runTarget(target, inputs);
      // Some inputs are the real ones: all refused would mean that nothing was tested.
      expect(accepted).toBeGreaterThan(count * 0.02);
    },
    300_000,
  );

  it('is removed in the end', async () => {
    await binary.close();
  });
});
