/**
 * Every parser of outside data with many changed inputs: `npm run fuzz [INPUTS [NAME…]]`. Fails where one makes something else
 * than a result or a typed error, takes 2 seconds of computing, or 300 MB, or where nearly all inputs are refused, or accepted.
 *
 * Each parser runs in processes of its own, whose heap may have 160 MB: what it needs for one input has to fit. V8 collects what
 * is not needed any more only when it has to, and would let a hundred thousand inputs fill far more. That one input does without
 * that limit is shown with the slowest and the longest ones: again, each in a process of its own, without one.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';

import pLimit from 'p-limit';

import { type FuzzResult, type FuzzTarget, inputOf, runTarget, weakness } from '../../test/fuzz/run-target.ts';
import { openTargets } from '../../test/fuzz/targets.ts';

const maxRssBytes = 300_000_000;
const inputsPerProcess = 50_000;
const heapMegabytes = 160;

/** What a child is to do with one parser: a range of inputs, or one of them. */
type Task = { readonly first: number; readonly count: number } | { readonly number: number };

const [mode, ...rest] = process.argv.slice(2);
if (mode === '--child') await runChild(rest[0] ?? '', JSON.parse(rest[1] ?? '') as Task);
else await runAll(Number(mode ?? 100_000), rest);

async function runChild(name: string, task: Task): Promise<void> {
  const { targets, close } = await openTargets();
  try {
    const target = targets.find((each) => each.name === name);
    if (target === undefined) throw new Error(`there is no parser '${name}'`);
    if ('count' in task) {
      process.stdout.write(JSON.stringify(await runTarget(target, task)));
      return;
    }
    await Promise.resolve(inputOf(target, task.number))
      .then(target.parse)
      .catch(() => 0);
    process.stdout.write(JSON.stringify({ peakRssBytes: process.resourceUsage().maxRSS * 1024 }));
  } finally {
    await close();
  }
}

async function runAll(inputs: number, only: readonly string[]): Promise<void> {
  const { targets, close } = await openTargets();
  await close();
  const chosen = targets.filter(({ name }) => only.length === 0 || only.includes(name));
  const limit = pLimit(Number(process.env.FUZZ_PROCESSES ?? availableParallelism()));
  let failed = 0;
  const test = async (target: FuzzTarget): Promise<void> => {
    const { name } = target;
    try {
      const result = await runParser(name, inputs);
      const weak = weakness(target, result);
      if (weak !== undefined) throw new Error(weak);
      let alone = 0;
      for (const number of result.heaviest) {
        const { peakRssBytes } = await runInProcess<Pick<FuzzResult, 'peakRssBytes'>>(name, { number });
        ensureSmall(peakRssBytes, `input ${number}`);
        alone = Math.max(alone, peakRssBytes);
      }
      process.stdout.write(`| ${name} | ${described(result)} | ${megabytes(alone)} |\n`);
    } catch (error) {
      failed += 1;
      process.stdout.write(`${name}: FAILED: ${String(error)}\n`);
    }
  };
  await Promise.all(chosen.map((target) => limit(test, target)));
  process.stdout.write(`${chosen.length} parsers, ${failed} failed\n`);
  process.exitCode = failed === 0 ? 0 : 1;
}

async function runParser(name: string, inputs: number): Promise<FuzzResult> {
  const results: FuzzResult[] = [];
  for (let first = 0; first < inputs; first += inputsPerProcess) {
    const task = { first, count: Math.min(inputsPerProcess, inputs - first) };
    const result = await runInProcess<FuzzResult>(name, task, [`--max-old-space-size=${heapMegabytes}`]);
    ensureSmall(result.peakRssBytes, `inputs from ${first}`);
    results.push(result);
  }
  return {
    inputs: results.reduce((sum, result) => sum + result.inputs, 0),
    accepted: results.reduce((sum, result) => sum + result.accepted, 0),
    slowestMs: Math.max(...results.map(({ slowestMs }) => slowestMs)),
    peakRssBytes: Math.max(...results.map(({ peakRssBytes }) => peakRssBytes)),
    heaviest: results.flatMap(({ heaviest }) => heaviest),
  };
}

async function runInProcess<T>(name: string, task: Task, options: readonly string[] = []): Promise<T> {
  const args = [...options, '--import', 'tsx', fileURLToPath(import.meta.url), '--child', name, JSON.stringify(task)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  await once(child, 'close');
  if (child.exitCode !== 0) throw new Error(stderr.slice(0, 2000));
  return JSON.parse(stdout) as T;
}

function ensureSmall(bytes: number, what: string): void {
  if (bytes > maxRssBytes) throw new Error(`${what} took ${megabytes(bytes)}`);
}

function described({ inputs, accepted, slowestMs, peakRssBytes }: FuzzResult): string {
  return [inputs, accepted, `${slowestMs.toFixed(0)} ms`, megabytes(peakRssBytes)].join(' | ');
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}
