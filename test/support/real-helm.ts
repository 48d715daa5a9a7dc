import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { helmPath } from './helm.ts';

const run = promisify(execFile);

/** Runs the real Helm that the project's set-up fetches, with nothing of the user's. @returns stdout */
export async function realHelm(args: readonly string[], cwd: string): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'edge-bundle-helm-'));
  try {
    const { stdout } = await run(helmPath, args, { cwd, env: { HOME: home, PATH: '' } });
    return stdout;
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}
