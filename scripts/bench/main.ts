import { writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { formatTable } from '../../src/report/table.ts';
import { formatBytes, formatDuration } from '../../src/report/units.ts';
import { Processes } from '../support/processes.ts';
import { measureStartup } from './startup.ts';
import { Workload } from './workload.ts';

/** A figure that the project promises to stay under. */
interface Limit {
  readonly name: string;
  readonly value: number;
  readonly limit: number;
  readonly format: (value: number) => string;
}

const processes = new Processes();

/** The same work in the same run, done by edge-bundle and by others, round after round; medians are compared. */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      out: { type: 'string' },
      'no-limits': { type: 'boolean', default: false },
    },
  });
  const rounds = Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1)
    throw new Error(`--rounds: '${values.rounds}' is not a number of rounds`);

  const folder = join(import.meta.dirname, '../../.cache/bench');
  console.error('preparing: the first time, packages are downloaded and images of about 700 MB are made');
  const workload = await Workload.prepare(processes, folder);
  console.error('warming up');
  let { bundle } = await workload.build();

  const timesMs = new Map<string, number[]>();
  const record = (name: string, durationMs: number): void => {
    timesMs.set(name, [...(timesMs.get(name) ?? []), durationMs]);
  };
  const writtenRatios: number[] = [];
  const peaks = { build: 0, load: 0 };
  for (let round = 1; round <= rounds; round += 1) {
    console.error(`round ${round} of ${rounds}`);
    const build = await workload.build();
    bundle = build.bundle;
    record('build', build.durationMs);
    peaks.build = Math.max(peaks.build, build.peakMemoryBytes);
    writtenRatios.push(build.writtenBytes / bundle.bytes);
    record('skopeo copy, tar | zstd', await workload.skopeoArchive());
    const copy = await workload.copy(bundle);
    record('cp', copy.durationMs);
    record('cp, sync', copy.flushedMs);
    const load = await workload.load(bundle);
    record('load', load.durationMs);
    peaks.load = Math.max(peaks.load, load.peakMemoryBytes);
    record('skopeo copy to registry', await workload.skopeoLoad());
  }
  const startup = await measureStartup(processes, join(folder, 'sparse'), 2 * rounds + 1);

  const medianMs = (name: string): number => median(timesMs.get(name) ?? []);
  const limits: readonly Limit[] = [
    asRatio('build / (skopeo copy, tar | zstd -3 -T0)', medianMs('build') / medianMs('skopeo copy, tar | zstd'), 0.5),
    asRatio('build / cp of the bundle', medianMs('build') / medianMs('cp'), 1.5),
    asRatio('load / skopeo copy to registry', medianMs('load') / medianMs('skopeo copy to registry'), 0.8),
    asRatio('bytes written to disk by build / bundle', median(writtenRatios), 1.02),
    { name: 'peak memory of build', value: peaks.build, limit: 250e6, format: formatBytes },
    { name: 'peak memory of load', value: peaks.load, limit: 200e6, format: formatBytes },
    {
      name: 'inspect of a 20 GB bundle, less --help',
      value: median(startup.inspectMs) - median(startup.helpMs),
      limit: 300,
      format: formatDuration,
    },
  ];

  console.error(`\n${workload.images} images, bundle of ${formatBytes(bundle.bytes)}, medians of ${rounds} rounds\n`);
  const durations = [...timesMs].map(([name, all]) => [
    name,
    formatDuration(median(all)),
    all.map(formatDuration).join(', '),
  ]);
  console.error(formatTable(['work', 'median', 'rounds'], durations));
  const missed = limits.filter(({ value, limit }) => !(value <= limit));
  console.error(
    formatTable(
      ['figure', 'measured', 'limit', ''],
      limits.map((each) => {
        const { name, value, limit, format } = each;
        return [name, format(value), format(limit), missed.includes(each) ? 'MISSED' : ''];
      }),
    ),
  );

  const report = {
    machine: { cpu: cpus()[0]?.model, cpus: cpus().length, memoryBytes: totalmem(), node: process.version },
    images: workload.images,
    bundleBytes: bundle.bytes,
    rounds,
    timesMs: Object.fromEntries(timesMs),
    peakMemoryBytes: peaks,
    writtenRatios,
    startup,
    limits: limits.map(({ name, value, limit }) => ({ name, value, limit, met: value <= limit })),
  };
  const json = `${JSON.stringify(report, undefined, 2)}\n`;
  if (values.out === undefined) process.stdout.write(json);
  else await writeFile(values.out, json);
  if (missed.length > 0 && !values['no-limits']) process.exitCode = 1;
}

function asRatio(name: string, value: number, limit: number): Limit {
  return { name, value, limit, format: (ratio) => ratio.toFixed(2) };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low = NaN, high = NaN] = sorted.length % 2 === 1 ? [sorted[middle], sorted[middle]] : sorted.slice(middle - 1);
  return (low + high) / 2;
}

try {
  await main();
} catch (error) {
  for (let cause = error; cause instanceof Error; cause = cause.cause) console.error(`bench: ${cause.message}`);
  process.exitCode = 1;
} finally {
  await processes.endAll();
}
