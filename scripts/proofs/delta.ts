import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readdirSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';

import * as z from 'zod';

import { buildBundle, type BuildResult } from '../../src/build/build-bundle.ts';
import { readBundleDocument } from '../../src/bundle/read-document.ts';
import type { Descriptor } from '../../src/content/descriptor.ts';
import type { Digest } from '../../src/content/digest.ts';
import { parseManifest } from '../../src/content/manifest.ts';
import { readContent } from '../../src/content/verify.ts';
import { formatBytes } from '../../src/report/units.ts';
import { LayoutStore } from '../../src/store/layout-store.ts';
import { makeImage } from '../../test/support/images.ts';
import { makeLayer, tarOf } from '../../test/support/layers.ts';
import { type DockerRegistry, startDockerRegistry } from '../bench/docker-registry.ts';
import { makeImages } from '../bench/images.ts';
import { Processes } from '../support/processes.ts';

const processes = new Processes();
const commandLine = join(import.meta.dirname, '../../dist/cli/main.js');
const folder = join(import.meta.dirname, '../../.cache/proof-delta');
const changed = 'nginx:1';
const configSchema = z.object({ rootfs: z.object({ diff_ids: z.array(z.custom<Digest>()) }) });

/**
 * A delta of the images that `npm run bench` measures, after the top layer of one of them has changed: how large it is, that base and
 * delta leave what base and full bundle leave in a real docker-registry, that an empty one is left as it is, and that a merge gives
 * the bytes of a full build.
 */
async function main(): Promise<void> {
  console.error('preparing: the first time, packages are downloaded and images of about 700 MB are made');
  const layout = join(folder, 'images');
  const stamp = join(folder, 'images.json');
  if (!existsSync(stamp)) {
    await rm(layout, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    await writeFile(stamp, JSON.stringify(await makeImages(processes, layout, join(folder, 'downloads'))));
  }
  const names = z.array(z.string()).parse(JSON.parse(await readFile(stamp, 'utf8')));
  const store = await LayoutStore.open(layout);
  const { image, layer } = await changeTopLayer(store, await store.resolve(changed));
  await rm(join(folder, 'bundles'), { recursive: true, force: true });
  const build = (isChanged: boolean, base?: BuildResult): Promise<BuildResult> =>
    bundleOf(store, names, isChanged ? image : undefined, base);

  const full1 = await build(false);
  const delta = await build(true, full1);
  const full2 = await build(true);
  report('base', formatBytes(full1.bundle.bytes));
  report('full bundle after the change', formatBytes(full2.bundle.bytes));
  report(
    'delta',
    `${formatBytes(delta.bundle.bytes)} (${((100 * delta.bundle.bytes) / full2.bundle.bytes).toFixed(2)} %)`,
  );
  report('of it the layer', formatBytes(layer.size));
  report('of it everything else', formatBytes(delta.bundle.bytes - layer.size));
  const carried = (await readBundleDocument(delta.bundle.path)).document.blobs;
  const before = new Set((await readBundleDocument(full1.bundle.path)).document.blobs.map(({ digest }) => digest));
  const fresh = carried.filter(({ digest }) => !before.has(digest));
  check('the layer, its config and its manifest are all that is new', fresh.length === 3);

  const [viaDelta, viaFull, alone] = (await Promise.all(['delta', 'full', 'alone'].map(startEmpty))) as [
    DockerRegistry,
    DockerRegistry,
    DockerRegistry,
  ];
  const refused = await edgeBundle(
    'load',
    delta.bundle.path,
    '--registry',
    `http://${alone.address}`,
    '--plain-http',
  ).then(
    () => '',
    (error: unknown) => String(error),
  );
  check(
    'an empty registry is refused with 3, and stays empty',
    refused.includes('ended with 3') && refused.includes('lacks') && stateOf('alone').size === 0,
  );
  for (const [{ address }, bundles] of [
    [viaDelta, [full1, delta]],
    [viaFull, [full1, full2]],
    [alone, [full2]],
  ] as const) {
    for (const { bundle } of bundles)
      await edgeBundle('load', bundle.path, '--registry', `http://${address}`, '--plain-http');
  }
  const [one, other, whole] = [await hashed('delta'), await hashed('full'), await hashed('alone')];
  check(`base and delta leave the ${other.size} files that base and full bundle leave`, isSame(one, other));
  check(
    'what the full bundle alone leaves is all there',
    [...whole].every(([path, digest]) => one.get(path) === digest),
  );
  await edgeBundle('verify', full2.bundle.path, '--registry', `http://${viaDelta.address}`, '--plain-http');
  check('the full bundle is verified in the registry that got the delta', true);

  const merged = join(folder, 'merged');
  await rm(merged, { recursive: true, force: true });
  const { stdout } = await edgeBundle(
    'merge',
    full1.bundle.path,
    delta.bundle.path,
    '--out',
    merged,
    '--output',
    'json',
  );
  const { bundle } = z.object({ bundle: z.object({ path: z.string() }) }).parse(JSON.parse(stdout));
  check(
    'the merged bundle has the bytes of the full one',
    (await sha256(bundle.path)) === (await sha256(full2.bundle.path)),
  );
}

/** The image with its last layer replaced by one of the same files and one more. */
async function changeTopLayer(store: LayoutStore, root: Descriptor): Promise<{ image: Descriptor; layer: Descriptor }> {
  const manifest = parseManifest(await readContent(store, root), root);
  if (manifest.kind === 'index') throw new Error('an image is expected');
  const config = configSchema.parse(JSON.parse((await readContent(store, manifest.config)).toString()));
  const kept = manifest.layers.slice(0, -1).map((descriptor, at) => {
    const diffId = config.rootfs.diff_ids[at];
    if (diffId === undefined) throw new Error('the config lacks a layer');
    return { descriptor, diffId, createdBy: 'kept' };
  });
  const content = createHash('sha512').update('changed').digest();
  const top = await makeLayer(
    store,
    tarOf([
      {
        path: 'etc/changed',
        content: Buffer.concat(
          Array.from({ length: 40_000 }, (_, at) => createHash('sha512').update(content).update(String(at)).digest()),
        ),
      },
    ]),
  );
  return { image: await makeImage(store, { layers: [...kept, top] }), layer: top.descriptor };
}

async function bundleOf(
  store: LayoutStore,
  names: readonly string[],
  replacement: Descriptor | undefined,
  base: BuildResult | undefined,
): Promise<BuildResult> {
  return buildBundle({
    name: 'bench',
    images: names.map((name) => ({ reference: `docker.io/bench/${name}`, sources: [] })),
    profiles: [],
    base: base && (await readBundleDocument(base.bundle.path)),
    out: join(folder, 'bundles'),
    source: {
      repository: (_registry, repository) => ({
        exists: (target, options) => store.exists(target, options),
        fetch: (target, options) => store.fetch(target, options),
        resolve: (tag) => {
          const name = `${repository.replace('bench/', '')}:${tag}`;
          return name === changed && replacement !== undefined ? Promise.resolve(replacement) : store.resolve(name);
        },
      }),
    },
  });
}

async function startEmpty(name: string): Promise<DockerRegistry> {
  const path = join(folder, 'registries', name);
  await rm(path, { recursive: true, force: true });
  return startDockerRegistry(processes, path);
}

/** All that a registry keeps, by the paths of its files. */
function stateOf(name: string): ReadonlyMap<string, string> {
  const root = join(folder, 'registries', name);
  const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.endsWith('config.json'));
  return new Map(paths.map((path) => [relative(root, path), path]));
}

async function hashed(name: string): Promise<ReadonlyMap<string, string>> {
  const state = new Map<string, string>();
  for (const [path, file] of stateOf(name)) state.set(path, await sha256(file));
  return state;
}

function isSame(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): boolean {
  return one.size === other.size && [...one].every(([path, digest]) => other.get(path) === digest);
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

function edgeBundle(...args: readonly string[]): Promise<{ readonly stdout: string }> {
  return processes.run(process.execPath, [commandLine, ...args]);
}

function report(name: string, value: string): void {
  console.log(`${name.padEnd(30)} ${value}`);
}

function check(what: string, isTrue: boolean): void {
  console.log(`${isTrue ? 'yes' : 'NO '}  ${what}`);
  if (!isTrue) process.exitCode = 1;
}

await main();
process.exit();
