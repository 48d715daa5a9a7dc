import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';

import { describe, expect, it } from 'vitest';

import { freeBytes } from '../../src/files/free-space.ts';
import { whyNoMount, withSmallDisk } from '../support/small-disk.ts';
import { expectCode } from '../support/store-contract.ts';

describe('freeBytes', () => {
  it('agrees with df', async () => {
    // Others write there at the same time: sooner or later, no great file comes or goes in between.
    const difference = async (): Promise<number> => {
      const [, available] = execFileSync('df', ['--output=avail', '-B1', tmpdir()], { encoding: 'utf8' }).split('\n');
      return Math.abs((await freeBytes(tmpdir())) - Number(available));
    };
    await expect.poll(difference).toBeLessThan(1e9);
  });

  it.runIf(whyNoMount === undefined)(`is exact on an empty disk (${whyNoMount ?? 'a tmpfs'})`, async () => {
    await withSmallDisk(1024 * 1024, async (folder) => {
      expect(await freeBytes(folder)).toBe(1024 * 1024);
    });
  });

  it('says FILE_FAILED where there is no such place', async () => {
    await expectCode('FILE_FAILED', () => freeBytes('/does/not/exist'));
  });
});
