import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';

import { documentSchemas } from '../../src/report/documents.ts';
import { runResolve } from '../resolve/run-resolve.ts';
import { declaring, manifestPack, podTemplate, writePack, writeProfile } from '../support/sample-packs.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

let folder: string;
let profile: string;

beforeAll(async () => {
  folder = await temporaryFolder();
  writePack(join(folder, 'packs'), {
    charts: { app: { 'templates/pod.yaml': podTemplate('ghcr.io/team/app:{{ .Values.tag }}') } },
  });
  profile = writeProfile(folder, {
    packs: [
      { name: 'web', values: `${declaring('ghcr.io/team/app:2')}charts: {app: {tag: "2"}}\n` },
      manifestPack(`${podTemplate('busybox')}      args: ["--image=ghcr.io/team/app:1"]\n`),
    ],
  });
});

const resolve = (...args: readonly string[]) => runResolve([profile, '--pack-dir', join(folder, 'packs'), ...args]);

const references = ['ghcr.io/team/app:2', 'docker.io/library/busybox:latest', 'ghcr.io/team/app:1'];

describe('resolve', () => {
  it('lists references, one a line, which is an input again', async () => {
    const { exitCode, stdout, stderr } = await resolve('--output', 'list');
    expect({ exitCode, stdout, stderr }).toEqual({ exitCode: 0, stdout: `${references.join('\n')}\n`, stderr: '' });
    const list = join(folder, 'again.txt');
    writeFileSync(list, stdout);
    expect((await runResolve([list, '--output', 'list'])).stdout).toBe(stdout);
  });

  it('writes one document, the same as JSON and as YAML', async () => {
    const json = documentSchemas.resolve.parse(JSON.parse((await resolve('--output', 'json')).stdout));
    expect(json.images.map(({ reference }) => reference)).toEqual(references);
    expect(json.charts.map(({ kind, reference }) => `${kind} ${reference}`)).toEqual([
      'pack localhost/spectro-packs/archive/web:1.0.0',
      'chart localhost/charts/app:1.2.3',
    ]);
    expect(parse((await resolve('--output', 'yaml')).stdout)).toEqual(json);
  });

  it('writes a table of images with their classes and packs, and one of packs', async () => {
    const { stdout } = await resolve();
    expect(stdout).toMatch(/ghcr\.io\/team\/app:2 +rendered, declared +web\n/);
    expect(stdout).toMatch(/docker\.io\/library\/busybox:latest +rendered +apps\n/);
    expect(stdout).toMatch(/\nweb +1\.0\.0 +1 +1 +0 +0 +0 +0 +0\n/);
  });

  it('shows with --why every place, however the image is spelt', async () => {
    const { stdout } = await resolve('--why', 'index.docker.io/library/busybox');
    expect(stdout).toContain('docker.io/library/busybox:latest\nwritten as busybox\n');
    expect(stdout).toMatch(/rendered +store \/ apps +manifests\[0\]\.content#Pod\/pod\.spec\.containers\[0\]\.image/);
    const app = await resolve('--why', 'ghcr.io/team/app:2');
    expect(app.stdout).toMatch(/declared +store \/ web +values#pack\.content\.images\[0\]/);
    expect(app.stdout).toMatch(/rendered +store \/ web \/ app +app\/templates\/pod\.yaml#Pod\/pod/);
    expect(app.stdout).not.toContain('app:1');
  });

  it('shows with --why all versions where none is named, and what was left out', async () => {
    const { stdout } = await resolve('--why', 'ghcr.io/team/app', '--exclude', '*app:1', '--output', 'json');
    const document = documentSchemas['resolve --why'].parse(JSON.parse(stdout));
    expect(document.images.map(({ reference }) => reference)).toEqual(['ghcr.io/team/app:2']);
    expect(document.excluded).toMatchObject([{ reference: 'ghcr.io/team/app:1', pattern: '*app:1' }]);
  });

  it('ends with 3 where nothing asks for the image of --why', async () => {
    for (const name of ['ghcr.io/team/app:3', 'ghcr.io/team/ap', 'nginx']) {
      const { exitCode, stderr } = await resolve('--why', name);
      expect(exitCode).toBe(3);
      expect(stderr).toContain('nothing asks for');
    }
  });

  it('compares with --diff what another profile has more, less, and in another version', async () => {
    const other = join(folder, 'other.txt');
    writeFileSync(other, 'ghcr.io/team/app:3\nbusybox\nghcr.io/team/new@sha256:' + 'a'.repeat(64));
    const { stdout } = await resolve('--diff', other);
    expect(stdout.trimEnd().split('\n')).toEqual([
      '~ ghcr.io/team/app:2 -> ghcr.io/team/app:3',
      `+ ghcr.io/team/new@sha256:${'a'.repeat(64)}`,
      '- ghcr.io/team/app:1',
    ]);
    const json = await resolve('--diff', other, '--output', 'json');
    expect(documentSchemas['resolve --diff'].parse(JSON.parse(json.stdout))).toEqual({
      added: [`ghcr.io/team/new@sha256:${'a'.repeat(64)}`],
      removed: ['ghcr.io/team/app:1'],
      changed: [{ from: 'ghcr.io/team/app:2', to: 'ghcr.io/team/app:3' }],
    });
    expect((await resolve('--diff', profile)).stdout).toBe('');
  });

  it('does not compare with what could not be rendered', async () => {
    const broken = writePack(join(folder, 'broken'), {
      name: 'b',
      charts: { b: { 'templates/a.yaml': '{{ fail "no" }}' } },
    });
    const { exitCode, stdout } = await resolve('--diff', broken);
    expect({ exitCode, stdout }).toEqual({ exitCode: 3, stdout: '' });
  });

  it.each([
    ['no input', []],
    ['an output that there is not', ['x.yaml', '--output', 'xml']],
    ['a Palette without profiles', ['--palette-endpoint', 'https://palette.invalid']],
    ['profiles without a Palette', ['--palette-profile', 'store']],
  ])('ends with 2 for %s', async (_name, args) => {
    expect((await runResolve(args)).exitCode).toBe(2);
  });

  it('says that Helm is missing, and nothing where nothing is to be rendered', async () => {
    const missing = await resolve('--helm', join(folder, 'no-helm'));
    expect(missing.exitCode).toBe(1);
    expect(missing.stderr).toContain('no-helm');
    const list = join(folder, 'list.txt');
    writeFileSync(list, 'busybox\n');
    expect((await runResolve([list, '--helm', join(folder, 'no-helm')])).exitCode).toBe(0);
  });
});
