import { readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { mediaTypes } from '../../src/content/media-types.ts';
import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import {
  type BuildDocument,
  type CacheListDocument,
  type CachePruneDocument,
  type CacheVerifyDocument,
  documentSchemas,
  type InspectDocument,
} from '../../src/report/documents.ts';
import { cosignSignature, cosignTag } from '../support/cosign.ts';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { blob, contentsOf, image, noise, pushAll } from '../support/graphs.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { runInProcess } from './run-cli.ts';

const layer = blob(noise(700_000, 'layer'), mediaTypes.ociLayerGzip);
const app = image([layer]);
const signature = cosignSignature(app);

let registry: DockerRegistry;
let folder: string;
let cacheDir: string;
let list: string;

beforeAll(async () => {
  registry = await startDockerRegistry();
  const client = new RegistryClient({ plainHttp: 'all' });
  const repository = client.repository(registry.host, 'team/app');
  await pushAll(repository, app, signature);
  await repository.tag(app.descriptor, 'v1');
  await repository.tag(signature.descriptor, cosignTag(app, 'sig'));
  await client.close();
  folder = await temporaryFolder();
  cacheDir = join(folder, 'cache');
  list = join(folder, 'images.txt');
  await writeFile(list, `${registry.host}/team/app:v1\n`);
});
afterAll(async () => registry.stop());

async function json<T>(...args: string[]): Promise<T> {
  const { exitCode, stdout, stderr } = await runInProcess([...args, '--output', 'json', '--quiet']);
  expect(exitCode, stderr).toBe(0);
  return JSON.parse(stdout) as T;
}

const build = (...args: string[]): Promise<BuildDocument> =>
  json<BuildDocument>(
    'build',
    list,
    '--plain-http',
    '--cache-dir',
    cacheDir,
    '--out',
    join(folder, `out-${args.join('')}`.replaceAll('/', '_')),
    ...args,
  );

describe('the cache of builds', () => {
  it('is off unless it is asked for', async () => {
    const document = await build();
    expect(documentSchemas.build.parse(document)).toMatchObject({ images: 1, attachments: 1 });
    expect(await readdir(cacheDir).catch(() => [])).not.toContain('blobs');
  });

  it('is filled by one build and spares the next one the download', async () => {
    const first = await build('--cache', '--name', 'one');
    expect(first.bytes.downloaded).toBeGreaterThan(700_000);
    const second = await build('--cache', '--name', 'two');
    expect(second.bytes).toMatchObject({ downloaded: 0, reused: { bundles: 0, cache: first.bytes.downloaded } });
  });

  it('is gone on without, where its folder cannot be made', async () => {
    const out = join(folder, 'out-without');
    const args = ['build', list, '--plain-http', '--out', out, '--cache', '--cache-dir', join(list, 'no-folder')];
    const { exitCode, stderr } = await runInProcess(args);
    expect(stderr).toMatch(/^warning: the build goes on without the cache: cannot make the cache/m);
    expect(exitCode).toBe(0);
  });

  it('is listed, checked and pruned', async () => {
    const listed = await json<CacheListDocument>('cache', 'ls', '--cache-dir', cacheDir);
    expect(documentSchemas['cache ls'].safeParse(listed).success).toBe(true);
    const contents = contentsOf(app, signature);
    expect(new Set(listed.blobs.map(({ digest }) => digest))).toEqual(
      new Set(contents.map(({ descriptor }) => descriptor.digest)),
    );
    expect(listed.bytes).toBe(contents.reduce((sum, { descriptor }) => sum + descriptor.size, 0));
    expect(listed.folder).toBe(join(cacheDir, 'blobs'));

    const path = join(cacheDir, 'blobs', 'sha256', layer.descriptor.digest.slice(7));
    const bytes = await readFile(path);
    bytes[99] = (bytes[99] ?? 0) ^ 1;
    await writeFile(path, bytes);
    const verified = await json<CacheVerifyDocument>('cache', 'verify', '--cache-dir', cacheDir);
    expect(documentSchemas['cache verify'].safeParse(verified).success).toBe(true);
    expect(verified.damaged).toEqual([{ digest: layer.descriptor.digest, bytes: 700_000 }]);
    expect(verified.sound.blobs).toBe(contents.length - 1);

    const old = join(cacheDir, 'blobs', 'sha256', app.descriptor.digest.slice(7));
    await utimes(old, new Date(0), new Date(0));
    const aged = await json<CachePruneDocument>('cache', 'prune', '--cache-dir', cacheDir, '--older-than', '30d');
    expect(aged.removed).toEqual({ blobs: 1, bytes: app.descriptor.size });
    const emptied = await json<CachePruneDocument>('cache', 'prune', '--cache-dir', cacheDir, '--max-size', '0');
    expect(emptied.kept).toEqual({ blobs: 0, bytes: 0 });
    expect(documentSchemas['cache prune'].safeParse(emptied).success).toBe(true);
  });

  it('tells people the same', async () => {
    await build('--cache', '--name', 'people');
    const options = ['--cache-dir', cacheDir, '--quiet'];
    const listed = await runInProcess(['cache', 'ls', ...options]);
    expect(listed.stdout).toMatch(/^blobs +6$/m);
    expect(listed.stdout).toMatch(new RegExp(`^${layer.descriptor.digest} +700 kB +20\\d\\d-`, 'm'));
    expect((await runInProcess(['cache', 'verify', ...options])).stdout).toMatch(/^damaged +0 blobs$/m);
    const pruned = await runInProcess(['cache', 'prune', '--max-size', '500K', ...options]);
    expect(pruned.stdout).toMatch(/^removed +\d blobs \(/m);
  });

  it.each([
    [['cache'], /an argument is missing/],
    [['cache', 'wash'], /invalid values/],
    [['cache', 'prune'], /nothing says what is to go/],
    [['cache', 'ls', '--max-size', '1G'], /are for 'cache prune'/],
    [['cache', 'prune', '--max-size', 'much'], /--max-size: expected a size like 500M, 20G or 1\.5Gi, 'much' came/],
    [['build', 'x', '--cache-size', '-1'], /--cache-size: expected a size/],
    [['build', 'x', '--arch', 'amd46'], /--arch: "amd46" is not a platform/],
  ])('refuses %j', async (args, message) => {
    const { exitCode, stderr } = await runInProcess(args);
    expect(stderr).toMatch(message);
    expect([1, 2]).toContain(exitCode);
  });
});

describe('what a build carries', () => {
  it('comes from existing bundles, without what belongs to it where that is not wanted', async () => {
    const first = await build('--name', 'earlier');
    const second = await build('--existing-bundle', first.bundle.path, '--referrers=false', '--arch', 'x86_64');
    expect(second).toMatchObject({ attachments: 0, bytes: { downloaded: 0, reused: { cache: 0 } } });
    expect(second.bytes.reused.bundles).toBe(700_000);
    const inspected = await json<InspectDocument>('inspect', first.bundle.path);
    expect(documentSchemas.inspect.safeParse(inspected).success).toBe(true);
    expect(inspected.attachments).toMatchObject([
      { reference: `${registry.host}/team/app:${cosignTag(app, 'sig')}`, subject: app.descriptor.digest },
    ]);
    const tree = await runInProcess(['inspect', first.bundle.path, '--output', 'tree']);
    expect(tree.stdout).toContain(cosignTag(app, 'sig'));
  });

  it('is not built where an existing bundle cannot be opened', async () => {
    const { exitCode, stderr } = await runInProcess([
      ...['build', list, '--plain-http', '--out', join(folder, 'none')],
      ...['--existing-bundle', join(folder, 'nothing.tar.zst')],
    ]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('nothing.tar.zst');
  });
});
