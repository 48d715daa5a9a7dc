import { existsSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import * as z from 'zod';

import { digestOf } from '../../src/content/digest.ts';
import { writeFileAtomic } from '../../src/files/atomic-file.ts';
import { documentSchemas } from '../../src/report/documents.ts';
import { formatTable } from '../../src/report/table.ts';
import { formatBytes, formatDuration } from '../../src/report/units.ts';
import { type Finished, Processes } from '../support/processes.ts';
import * as ingredients from './applications.ts';
import { makeImages } from './make-images.ts';

const project = join(import.meta.dirname, '../..');
const work = join(project, '.cache/demo');
const profile = 'manifests/demo-profile.yaml';
const packs = 'manifests/demo-packs';
/** What the profile names. */
const source = '127.0.0.1:5380';
const target = '127.0.0.1:5381';
const epoch = Number(process.env.SOURCE_DATE_EPOCH ?? Date.UTC(2025, 0, 1) / 1000);

const stampSchema = z.object({ wanted: z.string(), names: z.array(z.string()) });

const processes = new Processes();

/** Images from packages, a registry that serves them, a bundle, a second registry that it is loaded into, verified. */
async function main(): Promise<void> {
  const steps: [step: string, result: string, durationMs: number][] = [];
  const made = await timed(() => makeImagesOnce());
  steps.push(['make images', `${made.result.length} images from packages of Debian and npm`, made.durationMs]);
  say(`${made.result.length} images are in .cache/demo/images:`);
  for (const name of made.result) say(`  ${name}`);

  await serve(source, ['.cache/demo/images']);
  const resolved = await edgeBundle('resolve', profile, '--pack-dir', packs);
  process.stdout.write(resolved.stdout);
  steps.push(['resolve', 'every image and why', resolved.durationMs]);

  const built = await edgeBundle('build', profile, '--pack-dir', packs, '--plain-http', '--output', 'json');
  const build = documentSchemas.build.parse(JSON.parse(built.stdout));
  const { referenced, stored, saved } = build.bytes;
  steps.push(['build', `${formatBytes(build.bundle.bytes)} in one file`, built.durationMs]);

  const inspected = await edgeBundle('inspect', build.bundle.path);
  process.stdout.write(inspected.stdout);
  steps.push(['inspect', `${build.images} images listed`, inspected.durationMs]);

  await rm(join(work, 'target'), { recursive: true, force: true });
  await serve(target, ['.cache/demo/target', '--writable']);
  const loaded = await edgeBundle('load', build.bundle.path, '--registry', `http://${target}`, '--output', 'json');
  const load = documentSchemas.load.parse(JSON.parse(loaded.stdout));
  const { uploaded, mounted, present } = load.blobs;
  steps.push(['load', `${uploaded} blobs uploaded, ${mounted} mounted, ${present} there already`, loaded.durationMs]);

  const checked = await edgeBundle('verify', build.bundle.path, '--registry', `http://${target}`, '--output', 'json');
  const verify = documentSchemas.verify.parse(JSON.parse(checked.stdout));
  steps.push(['verify', `${verify.images} images, ${verify.missing.length} digests missing`, checked.durationMs]);

  say('');
  process.stdout.write(
    formatTable(
      ['step', 'result', 'time'],
      steps.map(([step, result, durationMs]) => [step, result, formatDuration(durationMs)]),
    ),
  );
  say('');
  process.stdout.write(
    formatTable(
      ['images', 'blobs', 'referenced', 'stored', 'saved by sharing'],
      [[`${build.images}`, `${build.blobs}`, formatBytes(referenced), formatBytes(stored), formatBytes(saved)]],
    ),
  );
  say('');
  say(`The bundle is ${build.bundle.path}`);
  say(`Unpack it with any tool: tar --zstd -xf ${build.bundle.path} -C FOLDER`);
}

/** Takes the images of an earlier run where they are what this run would make. */
async function makeImagesOnce(): Promise<readonly string[]> {
  const layout = join(work, 'images');
  const stamp = join(work, 'images.json');
  const wanted = digestOf(JSON.stringify([epoch, ingredients]));
  if (existsSync(stamp)) {
    const made = stampSchema.parse(JSON.parse(readFileSync(stamp, 'utf8')));
    if (made.wanted === wanted) return made.names;
  }
  say('Making images; the first time takes a minute.');
  await rm(stamp, { force: true });
  await rm(layout, { recursive: true, force: true });
  const names = await makeImages({ processes, layout, downloads: join(work, 'downloads'), epoch });
  await writeFileAtomic(stamp, JSON.stringify({ wanted, names }));
  return names;
}

async function serve(address: string, args: readonly string[]): Promise<void> {
  say(`\n$ edge-bundle serve ${args.join(' ')} --listen ${address} &`);
  const { program, args: all } = command('serve', ...args, '--listen', address);
  await processes.startRegistry(program, all, `http://${address}`);
}

async function edgeBundle(...args: readonly string[]): Promise<Finished> {
  say(`\n$ edge-bundle ${args.join(' ')}`);
  const { program, args: all } = command(...args);
  return processes.run(program, all, { cwd: project, stderr: 'inherit' });
}

function command(...args: readonly string[]): { readonly program: string; readonly args: readonly string[] } {
  return { program: process.execPath, args: [join(project, 'dist/cli/main.js'), ...args] };
}

async function timed<T>(task: () => Promise<T>): Promise<{ readonly result: T; readonly durationMs: number }> {
  const started = performance.now();
  const result = await task();
  return { result, durationMs: performance.now() - started };
}

function say(line: string): void {
  console.log(line);
}

try {
  process.chdir(project);
  await main();
} catch (error) {
  for (let cause = error; cause instanceof Error; cause = cause.cause) console.error(`demo: ${cause.message}`);
  process.exitCode = 1;
} finally {
  await processes.endAll();
}
