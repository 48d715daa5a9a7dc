import { describe, expect, it } from 'vitest';

import { runTarget, weakness } from './run-target.ts';
import { openTargets, type OpenTargets } from './targets.ts';

/** `npm run fuzz` gives each parser many more, in a process of its own. */
const inputs = 2_000;

const opened: OpenTargets = await openTargets();

describe('whatever somebody else wrote', () => {
  it.each(opened.targets.map((target) => [target.name, target] as const))(
    'as %s gives a result or an error that says what is wrong',
    async (_, target) => {
      const result = await runTarget(target, { count: inputs });
      expect(result.inputs).toBe(inputs);
      expect(weakness(target, result)).toBeUndefined();
    },
    300_000,
  );

  it('is removed in the end', async () => {
    await opened.close();
  });
});
