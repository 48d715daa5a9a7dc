import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import pLimit from 'p-limit';
import { parse } from 'yaml';

import { formatTable } from '../../src/report/table.ts';
import { formatDuration } from '../../src/report/units.ts';
import { Processes } from '../support/processes.ts';
import { commandLine } from './workload.ts';

const helm = join(import.meta.dirname, '../../.tools/helm');
const limits = { cold: 1.2, warm: 0.2 };
const processes = new Processes();

interface ChartRun {
  readonly name: string;
  readonly archive: string;
  readonly values: string;
}

/** `resolve` of packs, without and with its cache, against `helm template` of the same charts, two at a time. */
async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { rounds: { type: 'string', default: '5' } },
    allowPositionals: true,
  });
  const [packsFolder] = positionals;
  if (packsFolder === undefined) throw new Error('name a folder of packs');
  const folder = await mkdtemp(join(tmpdir(), 'edge-bundle-resolve-'));
  try {
    const packs = (await readdir(packsFolder)).sort().map((name) => join(packsFolder, name));
    const charts = (await Promise.all(packs.map((pack) => chartsOf(pack, folder)))).flat();
    const environment = { HOME: folder, HELM_CACHE_HOME: folder, HELM_CONFIG_HOME: folder, HELM_DATA_HOME: folder };
    const render = async ({ name, archive, values: file }: ChartRun): Promise<void> => {
      const args = ['template', name, archive, '--values', file, '--include-crds'];
      // One of them fails with its pack's own values, in edge-bundle too.
      await processes.run(helm, args, { env: environment }).catch(() => undefined);
    };
    const cache = join(folder, 'cache');
    const resolve = (): Promise<unknown> =>
      processes.run(process.execPath, [
        ...[commandLine, 'resolve', ...packs, '--helm', helm, '--cache-dir', cache],
        ...['--allow-unrendered', '--quiet', '--output', 'json'],
      ]);

    const times = { helm: [] as number[], cold: [] as number[], warm: [] as number[] };
    for (let round = 0; round <= Number(values.rounds); round += 1) {
      const limit = pLimit(2);
      const measured = {
        helm: await timed(() => Promise.all(charts.map((chart) => limit(() => render(chart))))),
        cold: await timed(async () => {
          await rm(cache, { recursive: true, force: true });
          await resolve();
        }),
        warm: await timed(resolve),
      };
      // The first one reads everything from the disk.
      if (round > 0) for (const name of ['helm', 'cold', 'warm'] as const) times[name].push(measured[name]);
    }
    report(packs.length, charts.length, times);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function report(
  packs: number,
  charts: number,
  times: Readonly<Record<'helm' | 'cold' | 'warm', readonly number[]>>,
): void {
  const helmMs = median(times.helm);
  const row = (name: string, measured: readonly number[], limit?: number): string[] => {
    const ratio = median(measured) / helmMs;
    const verdict = limit === undefined ? '' : ratio <= limit ? '' : 'MISSED';
    return [name, formatDuration(median(measured)), ratio.toFixed(2), limit?.toFixed(2) ?? '', verdict];
  };
  const rows = [
    row('helm template, two at a time', times.helm),
    row('resolve, nothing cached', times.cold, limits.cold),
    row('resolve again', times.warm, limits.warm),
  ];
  console.log(`${packs} packs, ${charts} charts, medians of ${times.helm.length} rounds\n`);
  console.log(formatTable(['work', 'median', 'ratio', 'limit', ''], rows));
  if (rows.some((cells) => cells.includes('MISSED'))) process.exitCode = 1;
}

/** The charts of a pack, each with the values that the pack has for it, in a file. */
async function chartsOf(pack: string, folder: string): Promise<ChartRun[]> {
  const { charts = [] } = JSON.parse(await readFile(join(pack, 'pack.json'), 'utf8')) as { charts?: string[] };
  const values = parse(await readFile(join(pack, 'values.yaml'), 'utf8'), { merge: true }) as {
    charts?: Readonly<Record<string, unknown>> | null;
  } | null;
  return Promise.all(
    charts.map(async (path, index) => {
      const archive = join(pack, path);
      const { stdout } = await processes.run('tar', ['-tzf', archive]);
      const name = stdout.split('/')[0] ?? '';
      const file = join(folder, 'values', `${pack.replaceAll('/', '_')}-${index}.json`);
      await mkdir(join(folder, 'values'), { recursive: true });
      await writeFile(file, JSON.stringify(values?.charts?.[name] ?? {}));
      return { name, archive, values: file };
    }),
  );
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

try {
  await main();
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
