import { mkdir, rm, stat } from 'node:fs/promises';

import type { Processes } from '../support/processes.ts';
import { writeSparseBundle } from './sparse-bundle.ts';
import { commandLine } from './workload.ts';

export interface Startup {
  readonly bundleBytes: number;
  readonly helpMs: readonly number[];
  readonly inspectMs: readonly number[];
}

/** How long `inspect` of a 20 GB bundle takes, and `--help`, which only starts. */
export async function measureStartup(processes: Processes, folder: string, rounds: number): Promise<Startup> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const bundle = await writeSparseBundle(folder);
  const run = async (...args: readonly string[]): Promise<number> =>
    (await processes.run(process.execPath, [commandLine, ...args])).durationMs;
  const helpMs: number[] = [];
  const inspectMs: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    helpMs.push(await run('--help'));
    inspectMs.push(await run('inspect', bundle));
  }
  return { bundleBytes: (await stat(bundle)).size, helpMs, inspectMs };
}
