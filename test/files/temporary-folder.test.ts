import { existsSync } from 'node:fs';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { withTemporaryFolder } from '../../src/files/temporary-folder.ts';
import { WorkerProcess } from '../support/worker-process.ts';

describe('withTemporaryFolder', () => {
  it('gives a folder that only this user can read, and removes it with all that is in it', async () => {
    const folder = await withTemporaryFolder(async (made) => {
      expect((await stat(made)).mode & 0o777).toBe(0o700);
      await writeFile(join(made, 'file'), 'text');
      return made;
    });
    expect(existsSync(folder)).toBe(false);
  });

  it('removes it where the task fails', async () => {
    let folder = '';
    const failing = withTemporaryFolder((made) => {
      folder = made;
      return Promise.reject(new Error('failed'));
    });
    await expect(failing).rejects.toThrow('failed');
    expect(existsSync(folder)).toBe(false);
  });

  it('removes it where the process ends meanwhile', async () => {
    const worker = new WorkerProcess('temporary-folder-worker.ts', []);
    const folder = (await worker.message()) as string;
    await worker.end();
    expect(folder).toContain('edge-bundle-');
    expect(existsSync(folder)).toBe(false);
  });
});
