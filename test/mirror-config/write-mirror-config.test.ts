import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

import { writeMirrorConfig } from '../../src/mirror-config/write-mirror-config.ts';
import { runInProcess } from '../cli/run-cli.ts';
import { planBundle, writeBundle } from '../support/bundles.ts';
import { expectError } from '../support/expect-error.ts';
import { blob, image } from '../support/graphs.ts';
import { runProgram } from '../support/run-program.ts';
import { memoryFolder } from '../support/temporary-folder.ts';

const content = image([blob('layer', 'application/vnd.oci.image.layer.v1.tar+gzip')]);
const list = 'mirror-config.sha256';
const certs = 'containerd/certs.d';

let folder: string;
let out: string;

beforeEach(async () => {
  folder = await memoryFolder();
  out = join(folder, 'out');
});

async function bundleOf(...references: readonly string[]): Promise<string> {
  const images = Object.fromEntries(references.map((reference) => [reference, content]));
  return writeBundle(join(folder, references.join().replaceAll(/\W/g, '-')), await planBundle(images));
}

function configure(bundle: string, ...args: readonly string[]): ReturnType<typeof runInProcess> {
  return runInProcess(['mirror-config', bundle, '--harbor', 'https://10.0.0.5:30003', '--out', out, ...args]);
}

async function tree(): Promise<string[]> {
  return (await readdir(out, { recursive: true })).sort();
}

describe('the folder of mirror-config', () => {
  it('has what the last run made, and a list that sha256sum checks', async () => {
    const both = await bundleOf('docker.io/library/app:1', 'quay.io/org/app:1');
    const one = await bundleOf('docker.io/library/app:1');
    expect(await configure(both)).toMatchObject({ exitCode: 0 });
    runProgram('sha256sum', ['--check', '--strict', list], { cwd: out });
    expect((await tree()).filter((path) => /hosts\.toml$|\.yaml$/.test(path))).toEqual([
      `${certs}/docker.io/hosts.toml`,
      `${certs}/quay.io/hosts.toml`,
      'k3s/registries.yaml',
      'rke2/registries.yaml',
      'user-data.yaml',
    ]);
    expect(await configure(one, '--format', 'containerd')).toMatchObject({ exitCode: 0 });
    const left = ['containerd', certs, `${certs}/docker.io`, `${certs}/docker.io/hosts.toml`, list];
    expect(await tree()).toEqual(left);
    runProgram('sha256sum', ['--check', '--strict', list], { cwd: out });
    expect(await configure(one, '--format', 'namespaces')).toMatchObject({ exitCode: 0 });
    expect(await tree()).toEqual([]);
  });

  it('keeps the files of others, and the folders that they are in', async () => {
    const bundle = await bundleOf('docker.io/library/app:1', 'quay.io/org/app:1');
    const own = join(out, certs, 'quay.io', 'client.key');
    await mkdir(dirname(own), { recursive: true });
    await writeFile(own, 'mine');
    await writeFile(join(out, 'k3s.txt'), 'mine too');
    expect(await configure(bundle)).toMatchObject({ exitCode: 0 });
    expect(await configure(bundle, '--format', 'user-data')).toMatchObject({ exitCode: 0 });
    expect([await readFile(own, 'utf8'), await readFile(join(out, 'k3s.txt'), 'utf8')]).toEqual(['mine', 'mine too']);
    expect(await tree()).toEqual([
      ...['containerd', certs, `${certs}/quay.io`, `${certs}/quay.io/client.key`, 'k3s.txt'],
      ...[list, 'user-data.yaml'],
    ]);
  });

  it.each([
    ['that is in the place of one', [`${certs}/docker.io/hosts.toml`]],
    ['that was changed since, and is needed again', ['k3s/registries.yaml', 'user-data.yaml']],
  ])('is not touched where it has a file %s', async (_what, changed) => {
    const bundle = await bundleOf('docker.io/library/app:1', 'quay.io/org/app:1');
    if (changed.length > 1) await configure(bundle);
    for (const path of changed) {
      await mkdir(dirname(join(out, path)), { recursive: true });
      await writeFile(join(out, path), 'by hand');
    }
    const before = await tree();
    const { exitCode, stdout, stderr } = await configure(bundle);
    expect([exitCode, stdout]).toEqual([1, '']);
    for (const path of changed) {
      expect(stderr).toContain(`'${join(out, path)}'`);
      expect(await readFile(join(out, path), 'utf8')).toBe('by hand');
    }
    expect(await tree()).toEqual(before);
  });

  it('is not touched where a file that is not needed any more was changed since', async () => {
    const bundle = await bundleOf('docker.io/library/app:1');
    await configure(bundle);
    await writeFile(join(out, 'k3s/registries.yaml'), 'with a login');
    const before = await tree();
    expect(await configure(bundle, '--format', 'containerd')).toMatchObject({ exitCode: 1 });
    expect(await tree()).toEqual(before);
    await rm(join(out, 'k3s/registries.yaml'));
    expect(await configure(bundle, '--format', 'containerd')).toMatchObject({ exitCode: 0 });
    expect((await tree()).filter((path) => /k3s|rke2|user-data/.test(path))).toEqual(['k3s']);
  });

  it('is put right by the run after one that was killed between two files', async () => {
    const [old, recent] = [
      new Map([
        ['a', 'old'],
        ['b', 'old'],
        ['gone/c', 'old'],
      ]),
      new Map([
        ['a', 'new'],
        ['b', 'new'],
        ['d', 'new'],
      ]),
    ];
    await writeMirrorConfig(out, old);
    const before = await readFile(join(out, list), 'utf8');
    await writeMirrorConfig(out, recent);
    const after = await readFile(join(out, list), 'utf8');
    // `a` and `d` were written, `b` was not; nothing was removed.
    await writeFile(join(out, 'b'), 'old');
    await mkdir(join(out, 'gone'));
    await writeFile(join(out, 'gone/c'), 'old');
    await writeFile(join(out, list), before + after);
    await writeMirrorConfig(out, new Map([['a', 'newest']]));
    expect(await tree()).toEqual(['a', list]);
    expect(await readFile(join(out, 'a'), 'utf8')).toBe('newest');
  });

  it('has a list that reaches no other folder', async () => {
    await writeFile(join(folder, 'victim'), '');
    const empty = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
    await mkdir(out);
    for (const path of ['../victim', 'a/../../victim', join(folder, 'victim'), '.', 'a//b', '']) {
      await writeFile(join(out, list), `${empty}  ${path}\n`);
      await expectError('FILE_FAILED', 'is no list of files', () => writeMirrorConfig(out, new Map([['a', 'a']])));
      expect([await tree(), await readFile(join(folder, 'victim'), 'utf8')]).toEqual([[list], '']);
    }
  });

  it('removes a file, and not what a link leads to', async () => {
    await writeMirrorConfig(
      out,
      new Map([
        ['a/b', 'text'],
        ['c', 'text'],
      ]),
    );
    await mkdir(join(folder, 'elsewhere'));
    await writeFile(join(folder, 'elsewhere', 'b'), 'text');
    await rm(join(out, 'c'));
    await symlink(join(folder, 'elsewhere', 'b'), join(out, 'c'));
    await writeMirrorConfig(out, new Map([['d', 'text']]));
    expect(await tree()).toEqual(['d', list]);
    expect(await readFile(join(folder, 'elsewhere', 'b'), 'utf8')).toBe('text');
  });
});
