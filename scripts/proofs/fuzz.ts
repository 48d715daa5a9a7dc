/**
 * Every parser of outside data with many changed inputs, each in a process of its own: `npm run fuzz [INPUTS [NAME]]`. Fails where one
 * makes something else than a result or a typed error, takes 2 seconds, or 300 MB.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { openBinaryTargets } from '../../test/fuzz/binary-targets.ts';
import { type FuzzResult, runTarget } from '../../test/fuzz/run-target.ts';
import { textTargets } from '../../test/fuzz/text-targets.ts';

const maxRssBytes = 300_000_000;
const [inputs = '100000', only, mode] = process.argv.slice(2);

if (mode === '--child') await runChild(only ?? '');
else await runAll();

async function runChild(name: string): Promise<void> {
  const binary = await openBinaryTargets();
  const target = [...textTargets, ...binary.targets].find((each) => each.name === name);
  if (target === undefined) throw new Error(`there is no parser '${name}'`);
  try {
    process.stdout.write(JSON.stringify(await runTarget(target, Number(inputs))));
  } finally {
    await binary.close();
  }
}

async function runAll(): Promise<void> {
  const binary = await openBinaryTargets();
  const names = [...textTargets, ...binary.targets]
    .map(({ name }) => name)
    .filter((name) => only === undefined || name === only);
  await binary.close();
  let failed = 0;
  for (const name of names) {
    const result = runInProcess(name);
    if (typeof result === 'string') failed += 1;
    process.stdout.write(
      `${name.padEnd(62)} ${typeof result === 'string' ? `FAILED: ${result}` : described(result)}\n`,
    );
  }
  process.stdout.write(`${names.length} parsers, ${failed} failed\n`);
  process.exitCode = failed === 0 ? 0 : 1;
}

function runInProcess(name: string): FuzzResult | string {
  // A parser that needs more than that has no excuse; what is merely not collected yet is no need.
  const args = ['--max-old-space-size=160', '--import', 'tsx', fileURLToPath(import.meta.url), inputs, name, '--child'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 1_800_000 });
  if (status !== 0) return stderr.slice(0, 2000);
  const result = JSON.parse(stdout) as FuzzResult;
  return result.peakRssBytes > maxRssBytes ? `it took ${Math.round(result.peakRssBytes / 1e6)} MB` : result;
}

function described({ inputs: count, accepted, slowestMs, peakRssBytes }: FuzzResult): string {
  return `${count} inputs, ${accepted} accepted, slowest ${slowestMs.toFixed(1)} ms, ${Math.round(peakRssBytes / 1e6)} MB`;
}
