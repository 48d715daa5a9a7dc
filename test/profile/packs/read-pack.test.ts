import { readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { readPack, readPackArchive } from '../../../src/profile/packs/read-pack.ts';
import { failureOf } from '../../support/expect-error.ts';
import { expectError } from '../../support/expect-error.ts';
import { runProgram } from '../../support/run-program.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { type PackFiles, packFiles, tarGz, writeFiles } from './pack-files.ts';
import { problemsOf } from '../profile-files.ts';

const writePack = async (files: PackFiles = packFiles()) => writeFiles(await temporaryFolder(), files);

describe('readPack', () => {
  it('reads a folder: what pack.json says, charts, manifests, values', async () => {
    const folder = await writePack();
    const pack = await readPack(folder);
    expect(pack).toMatchObject({
      name: 'web',
      version: '1.0.0',
      layer: 'addon',
      displayName: 'The web',
      origin: folder,
    });
    expect(pack.charts.map(({ path, archive }) => [path, archive.toString()])).toEqual([
      ['charts/web-2.0.tgz', 'no real chart'],
    ]);
    expect(pack.manifests).toEqual([
      { path: 'manifests/jobs/clean-up.yaml', name: 'clean-up', text: 'kind: Job\n' },
      { path: './manifests/rbac.yml', name: 'rbac', text: 'kind: Role\n' },
    ]);
    expect([pack.values, pack.presets, pack.reference]).toEqual(['pack: {namespace: web}\n', undefined, undefined]);
  });

  it('reads the archive that tar makes of it, with and without a top folder, as the same pack', async () => {
    const parent = await temporaryFolder();
    const folder = await writeFiles(
      join(parent, 'web-1.0.0'),
      packFiles('web', '1.0.0', { 'presets.yaml': '', '.DS_Store': 'x' }),
    );
    const expected = await readPack(folder);
    const archives = [tarGz(folder, '.'), tarGz(parent, 'web-1.0.0'), tarGz(folder, ...(await readdir(folder)))];
    for (const [index, bytes] of archives.entries()) {
      const path = join(parent, `${index}.tar.gz`);
      await writeFile(path, bytes);
      const pack = await readPack(path);
      expect(pack).toMatchObject({ name: 'web', manifests: expected.manifests, presets: '', digest: expected.digest });
      expect(await pack.archive()).toEqual(bytes);
    }
  });

  it('makes an archive that is the same whenever and wherever the folder was written', async () => {
    const [one, other] = [
      await writePack(),
      await writePack(Object.fromEntries(Object.entries(packFiles()).reverse())),
    ];
    await utimes(join(other, 'pack.json'), 1, 1);
    const archive = await (await readPack(one)).archive();
    expect(await (await readPack(other)).archive()).toEqual(archive);
    expect((await readPackArchive(archive, 'memory')).digest).toBe((await readPack(one)).digest);
    const listed = runProgram('tar', ['-tzf', '-'], { input: archive }).toString().trim().split('\n');
    expect(listed).toEqual(Object.keys(packFiles()).sort());
  });

  it('has a digest of all that it holds', async () => {
    const digests = await Promise.all(
      [
        packFiles(),
        packFiles('web', '1.0.0', { 'README.md': '# other\n' }),
        packFiles('web', '1.0.0', { extra: '' }),
      ].map(async (files) => (await readPack(await writePack(files))).digest),
    );
    expect(new Set(digests).size).toBe(3);
  });

  it('takes a pack without values', async () => {
    const folder = await writePack({ 'pack.json': '{"name":"a","version":"1","layer":"os","charts":null}' });
    expect(await readPack(folder)).toMatchObject({ values: '', charts: [], manifests: [], layer: 'os' });
  });

  it.each([
    [
      'a member of the wrong kind',
      { name: 'a', version: 1, layer: 'addon' },
      /pack\.json#version: .*expected string, received number/,
    ],
    ['an unknown layer', { name: 'a', version: '1', layer: 'roof' }, /pack\.json#layer: /],
    [
      'a chart that is missing',
      { name: 'a', version: '1', layer: 'os', charts: ['charts/x.tgz'] },
      /pack\.json#charts\[0\]: the file 'charts\/x\.tgz' is missing/,
    ],
    [
      'a chart outside',
      { name: 'a', version: '1', layer: 'os', charts: ['../x.tgz'] },
      /charts\[0\]: '\.\.\/x\.tgz' leads out/,
    ],
    [
      'a manifest with a whole path',
      { name: 'a', version: '1', layer: 'os', kubeManifests: ['/etc/passwd'] },
      /kubeManifests\[0\]: '\/etc\/passwd' leads out/,
    ],
    [
      'a manifest that is a folder',
      { name: 'a', version: '1', layer: 'os', kubeManifests: ['manifests'] },
      /'manifests' is missing, or is a folder/,
    ],
  ])('names %s', async (_what, json, message) => {
    const folder = await writePack({ 'pack.json': JSON.stringify(json), 'manifests/a.yaml': '' });
    const error = await failureOf(readPack(folder));
    expect(error.code).toBe('PROFILE_INVALID');
    expect(error.message).toMatch(message);
    expect(error.message).toContain(folder);
  });

  it('reports all that is wrong together', async () => {
    const folder = await writePack({
      'pack.json': '{"name":"a","version":"1","layer":"os","charts":["a","b"],"kubeManifests":["c"]}',
    });
    expect(problemsOf(await failureOf(readPack(folder)))).toHaveLength(3);
  });

  it.each([
    ['no pack.json', { 'values.yaml': '' }, 'has no pack.json'],
    ['no JSON in it', { 'pack.json': '{name' }, 'pack.json'],
    ['an array in it', { 'pack.json': '[]' }, 'expected object'],
    [
      'values that are no text',
      { 'pack.json': '{"name":"a","version":"1","layer":"os"}', 'values.yaml': Buffer.from([0xff]) },
      'values.yaml: is not text in UTF-8',
    ],
  ])('refuses a folder with %s', async (_what, files, part) => {
    const folder = await writePack(files);
    await expectError('PROFILE_INVALID', part, () => readPack(folder));
  });

  it('refuses links that lead out of the folder', async () => {
    const folder = await writePack();
    await rm(join(folder, 'charts/web-2.0.tgz'));
    await symlink('/etc/passwd', join(folder, 'charts/web-2.0.tgz'));
    await expectError('PROFILE_INVALID', 'leads out of the folder', () => readPack(folder));
  });

  it('refuses archives with links and with paths that lead out', async () => {
    const folder = await writePack();
    await symlink('/etc/passwd', join(folder, 'link'));
    await expectError('ARCHIVE_INVALID', 'link', () => readPackArchive(tarGz(folder, '.'), 'pack.tar.gz'));
    const climbing = tarGz(folder, '--transform=s,README.md,../../README.md,', 'pack.json', 'README.md');
    await expectError('ARCHIVE_INVALID', '..', () => readPackArchive(climbing, 'pack.tar.gz'));
    await expectError('ARCHIVE_INVALID', 'gzip', () => readPackArchive(Buffer.from('text'), 'pack.tar.gz'));
  });

  it('says what is not there', async () => {
    await expectError('FILE_FAILED', "'/nowhere/pack'", () => readPack('/nowhere/pack'));
  });
});
