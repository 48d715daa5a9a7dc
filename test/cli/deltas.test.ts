import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { documentSchemas } from '../../src/report/documents.ts';
import { apps, first, layers, second, type World } from '../delta/world.ts';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { pushAll } from '../support/graphs.ts';
import { runProgram } from '../support/run-program.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { type CliResult, runInProcess } from './run-cli.ts';

let registry: DockerRegistry;
let folder: string;
let base: string;
let delta: string;
let note: string;

beforeAll(async () => {
  [registry, folder] = await Promise.all([startDockerRegistry(), temporaryFolder()]);
  const client = new RegistryClient({ plainHttp: 'all' });
  const lists = { 'v1.txt': first, 'v2.txt': second };
  for (const [list, { images }] of Object.entries(lists)) await push(client, list, images);
  await client.close();
  note = join(folder, 'note.txt');
  await writeFile(note, 'what to do');
});

afterAll(() => registry.stop());

/** Pushes images under tags of this list, and writes the list. */
async function push(client: RegistryClient, list: string, images: World['images']): Promise<void> {
  const references: string[] = [];
  for (const [reference, content] of Object.entries(images)) {
    const name = reference.replace(/:.*/, '');
    const tag = list.replace('.txt', '');
    const repository = client.repository(registry.host, name);
    await pushAll(repository, content);
    await repository.tag(content.descriptor, tag);
    references.push(`${registry.host}/${name}:${tag}`);
  }
  await writeFile(join(folder, list), `${references.join('\n')}\n`);
}

async function build(list: string, ...more: readonly string[]): Promise<CliResult> {
  return runInProcess([
    ...['build', join(folder, list), '--name', 'site', '--out', join(folder, 'out'), '--plain-http'],
    ...['--output', 'json', ...more],
  ]);
}

function resultOf({ exitCode, stdout, stderr }: CliResult): unknown {
  expect(stderr).not.toContain('error:');
  expect(exitCode).toBe(0);
  return JSON.parse(stdout);
}

describe('build --base', () => {
  it('makes a delta on a bundle, or on its bundle.json', async () => {
    const full = documentSchemas.build.parse(resultOf(await build('v1.txt', '--file', note)));
    base = full.bundle.path;
    expect(full).toMatchObject({ files: 1 });
    expect(full.base).toBeUndefined();
    const document = join(folder, 'base.json');
    await writeFile(document, runProgram('tar', ['--zstd', '-xOf', base, 'bundle.json']));
    const built = documentSchemas.build.parse(
      resultOf(await build('v2.txt', '--base', document, '--file', `${note}=read.me`)),
    );
    delta = built.bundle.path;
    expect(built.base).toMatchObject({ name: 'site', id: full.bundle.id });
    expect(built.bytes.stored).toBeLessThan(layers.app2.descriptor.size + 10_000);
    const { stdout } = await runInProcess(['inspect', delta]);
    expect(stdout).toMatch(new RegExp(`^base +site ${full.bundle.id}: \\d+ blobs \\(\\d+ kB\\) are left to it$`, 'm'));
    expect(stdout).toMatch(/^read\.me +[0-9a-f]{12} +10 B$/m);
    const inspected = documentSchemas.inspect.parse(
      resultOf(await runInProcess(['inspect', delta, '--output', 'json'])),
    );
    expect(inspected.base).toEqual(built.base);
    expect(inspected.files.map(({ name }) => name)).toEqual(['read.me']);
  });

  it('is verified by itself, and says what it expects of its base', async () => {
    const document = documentSchemas.verify.parse(resultOf(await runInProcess(['verify', delta, '--output', 'json'])));
    expect(document.base?.blobs).toBeGreaterThan(0);
    expect((await runInProcess(['verify', delta])).stdout).toMatch(/^base +site /m);
  });

  it('refuses names that mean more than a file', async () => {
    for (const name of ['../up', 'a b', '', '.']) {
      const { exitCode, stderr } = await build('v1.txt', '--file', `${note}=${name}`);
      expect(exitCode).toBe(2);
      expect(stderr).toContain(`'${name}' cannot be the name of a file`);
    }
    expect((await build('v1.txt', '--file', note, '--file', note)).stderr).toContain("two files are called 'note.txt'");
    expect((await build('v1.txt', '--file', join(folder, 'absent'))).stderr).toContain('Check the path');
  });
});

describe('diff', () => {
  it('tells what changes, and how much of it is new', async () => {
    const document = documentSchemas.diff.parse(
      resultOf(await runInProcess(['diff', base, delta, '--output', 'json'])),
    );
    const name = (image: string, tag: string): string => `${registry.host}/${image}:${tag}`;
    expect(document.images.added.map((each) => each.name)).toContain(name('ghcr.io/new/home', 'v2'));
    expect(document.images.removed.map((each) => each.name)).toContain(name('registry.k8s.io/old', 'v1'));
    expect(document.files).toMatchObject({ added: [{ name: 'read.me' }], removed: [{ name: 'note.txt' }], moved: [] });
    expect(document.shared.bytes).toBeGreaterThan(layers.base.descriptor.size);
    const { stdout } = await runInProcess(['diff', base, delta]);
    expect(stdout).toMatch(/^new +\d+\.\d kB in \d+ blobs$/m);
    expect(stdout).toMatch(/^added +image .*ghcr\.io\/new\/home:v2 +[0-9a-f]{12}$/m);
    expect(stdout).toMatch(/^removed +file note\.txt +[0-9a-f]{12}$/m);
  });

  it('of a bundle with itself is nothing', async () => {
    const { stdout } = await runInProcess(['diff', base, base]);
    expect(stdout).toMatch(/^new +0 B in 0 blobs$/m);
    expect(stdout).not.toContain('CHANGE');
  });
});

describe('merge', () => {
  it('makes the bundle that a build without base makes', async () => {
    const out = join(folder, 'merged');
    const document = documentSchemas.merge.parse(
      resultOf(await runInProcess(['merge', base, delta, '--out', out, '--output', 'json'])),
    );
    const whole = documentSchemas.build.parse(resultOf(await build('v2.txt', '--file', `${note}=read.me`)));
    expect(document.bundle.id).toBe(whole.bundle.id);
    expect((await readFile(document.bundle.path)).equals(await readFile(whole.bundle.path))).toBe(true);
    // A second time it is there, and is cut into parts where those are wanted.
    const again = await runInProcess(['merge', base, delta, '--out', out, '--parts', '65536', '--output', 'json']);
    const parts = documentSchemas.merge.parse(resultOf(again));
    expect(parts.bundle.path).toBe(`${document.bundle.path}_part00`);
    expect(parts.bundle.bytes).toBe(document.bundle.bytes);
  });

  it('exits with 3 for a delta on another bundle', async () => {
    const { exitCode, stderr } = await runInProcess(['merge', delta, delta, '--out', join(folder, 'no')]);
    expect(exitCode).toBe(3);
    expect(stderr).toContain('has to come first');
  });
});

describe('extract', () => {
  it('puts files into a folder, and replaces none', async () => {
    const out = join(folder, 'files');
    const args = ['extract', delta, '--out', out];
    const document = documentSchemas.extract.parse(resultOf(await runInProcess([...args, '--output', 'json'])));
    expect(document.files).toEqual([{ name: 'read.me', path: join(out, 'read.me'), bytes: 10, executable: false }]);
    expect(await readdir(out)).toEqual(['read.me']);
    expect(await readFile(join(out, 'read.me'), 'utf8')).toBe('what to do');
    const again = await runInProcess(args);
    expect(again.exitCode).toBe(1);
    expect(again.stderr).toContain('is there already');
    expect((await runInProcess([...args, '--force', 'read.me'])).stdout).toMatch(/^read\.me +10 B +/m);
    expect((await stat(join(out, 'read.me'))).mode & 0o111).toBe(0);
  });
});

describe('load of a delta', () => {
  it('exits with 3 on an empty registry, and loads on its base', async () => {
    const target = await startDockerRegistry();
    try {
      const load = (bundle: string): Promise<CliResult> =>
        runInProcess(['load', bundle, '--registry', target.url, '--output', 'json', '--log', 'json']);
      const refused = await load(delta);
      expect(refused.exitCode).toBe(3);
      expect(refused.stderr).toContain('BASE_MISSING');
      expect(refused.stdout).toBe('');
      resultOf(await load(base));
      expect(documentSchemas.load.parse(resultOf(await load(delta))).missing).toEqual([]);
      const { exitCode, stdout } = await runInProcess(['verify', delta, '--registry', target.url, '--output', 'json']);
      expect(exitCode).toBe(0);
      expect(documentSchemas.verify.parse(JSON.parse(stdout)).missing).toEqual([]);
      const { host } = target;
      const app = `spectro-images/${registry.host.replace(':', '-')}/docker.io/library/app`;
      const answer = await fetch(`http://${host}/v2/${app}/manifests/v2`, {
        headers: { accept: apps.two.descriptor.mediaType },
      });
      expect(answer.headers.get('docker-content-digest')).toBe(apps.two.descriptor.digest);
    } finally {
      await target.stop();
    }
  });
});
