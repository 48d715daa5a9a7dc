import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

import { describe, expect, it } from 'vitest';

import { readProfile } from '../../../src/profile/profile.ts';
import { failureOf } from '../../support/expect-error.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { problemsOf } from '../profile-files.ts';

const run = promisify(execFile);

const pod = (name: string): string => `apiVersion: v1\nkind: Pod\nmetadata:\n  name: ${name}\n`;
const sha256 = (bytes: Buffer | string): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

async function folderWith(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await temporaryFolder();
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  return folder;
}

async function fileWith(content: string, name = 'input.yaml'): Promise<string> {
  return join(await folderWith({ [name]: content }), name);
}

describe('a file of Kubernetes manifests', () => {
  it('is kept as text, comments, several documents and macros too', async () => {
    const text = `# apps\n---\n${pod('a')}---\n# second\n${pod('{{ .spectro.var.name }}')}`;
    const file = await fileWith(text, 'apps.yaml');
    await expect(readProfile(file)).resolves.toEqual({
      kind: 'manifests',
      name: 'apps',
      version: undefined,
      file,
      digest: sha256(text),
      files: [{ path: 'apps.yaml', text }],
    });
  });

  it.each([
    ['empty documents first', `---\n---\n${pod('a')}`],
    ['a key that stands twice, as the API server accepts it', `${pod('a')}metadata:\n  name: b\n`],
    ['more bytes than a profile', `${pod('a')}data:\n${`  # ${'x'.repeat(1000)}\n`.repeat(6000)}`],
    ['a byte order mark', `\uFEFF${pod('a')}`],
    ['JSON', JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [] })],
    [
      "a ClusterProfile that is not Palette's",
      'apiVersion: multicluster.x-k8s.io/v1\nkind: ClusterProfile\nspec: {}\n',
    ],
  ])('may have %s', async (_what, text) => {
    await expect(readProfile(await fileWith(text))).resolves.toMatchObject({ kind: 'manifests' });
  });

  it('is refused where a document is no object, with its number', async () => {
    const error = await failureOf(readProfile(await fileWith(`${pod('a')}---\nreplicas: 1\n---\nkind: Pod\n`)));
    expect(error.code).toBe('PROFILE_INVALID');
    expect(problemsOf(error)).toEqual([
      expect.stringMatching(/document 2: is no Kubernetes object/),
      expect.stringMatching(/document 3: is no Kubernetes object/),
    ]);
  });

  it('is refused with the line where it is no YAML', async () => {
    const { message } = await failureOf(readProfile(await fileWith(`${pod('a')}---\nkind: [\n`)));
    expect(message).toMatch(/: line [67]\b/);
  });

  it('is told from what is neither a profile nor an object', async () => {
    const error = await failureOf(readProfile(await fileWith('replicas: 1\n')));
    expect(error.message).toMatch(/neither a profile .* nor a Kubernetes object/);
  });
});

describe('a folder of manifests', () => {
  const files = {
    'b.yaml': pod('b'),
    'a/z.yml': pod('z'),
    'a/c.json': '{"apiVersion":"v1","kind":"Pod"}',
    'README.md': '#',
  };

  it('has all of them, sorted by path, those in folders too', async () => {
    const folder = await folderWith(files);
    const input = await readProfile(folder);
    expect(input).toMatchObject({ kind: 'manifests', file: folder, version: undefined });
    expect(input.kind === 'manifests' && input.files).toEqual([
      { path: 'a/c.json', text: files['a/c.json'] },
      { path: 'a/z.yml', text: files['a/z.yml'] },
      { path: 'b.yaml', text: files['b.yaml'] },
    ]);
  });

  it('has a digest of paths and contents, and of nothing else', async () => {
    const digestOf = async (content: Readonly<Record<string, string>>) =>
      (await readProfile(await folderWith(content))).digest;
    const digest = await digestOf(files);
    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    await expect(digestOf({ ...files, 'README.md': 'changed' })).resolves.toBe(digest);
    await expect(digestOf({ ...files, 'b.yaml': pod('c') })).resolves.not.toBe(digest);
    await expect(digestOf({ 'c.yaml': pod('b') })).resolves.not.toBe(await digestOf({ 'b.yaml': pod('b') }));
  });

  it('reads what links inside lead to once, and refuses links that lead out or nowhere', async () => {
    const folder = await folderWith({ 'data/a.yaml': pod('a'), 'data/b.txt': pod('b') });
    await symlink('data', join(folder, 'current'));
    await symlink('data/a.yaml', join(folder, 'a.yaml'));
    await symlink('data/b.txt', join(folder, 'b.yaml'));
    await symlink('.', join(folder, 'data', 'loop'));
    const input = await readProfile(folder);
    expect(input.kind === 'manifests' && input.files.map(({ path }) => path)).toEqual(['b.yaml', 'data/a.yaml']);

    await symlink('/etc/hostname', join(folder, 'out.yaml'));
    await symlink('missing', join(folder, 'gone.yaml'));
    const error = await failureOf(readProfile(folder));
    expect(problemsOf(error).sort()).toEqual([
      expect.stringMatching(/gone\.yaml': is a link that leads nowhere/),
      expect.stringMatching(/out\.yaml': is a link that leads out of the folder/),
    ]);
  });

  it('is refused for all files that are no manifests, together', async () => {
    const profile = '{"metadata":{"name":"p"},"spec":{"template":{"type":"infra","packs":[]}}}';
    const folder = await folderWith({
      'a.yaml': pod('a'),
      'list.yaml': 'nginx:1.27\n',
      'p.json': profile,
      'v.yaml': 'a: 1',
    });
    const error = await failureOf(readProfile(folder));
    expect(problemsOf(error)).toEqual([
      expect.stringMatching(/list\.yaml': is no Kubernetes object/),
      expect.stringMatching(/p\.json': is a cluster profile, not a manifest/),
      expect.stringMatching(/v\.yaml': is no Kubernetes object/),
    ]);
  });

  it('is refused where there are none', async () => {
    const { message } = await failureOf(readProfile(await folderWith({ 'README.md': '#' })));
    expect(message).toMatch(/holds no pack\.json, no Chart\.yaml, and no \*\.yaml/);
  });
});

const chartFiles = {
  'web/Chart.yaml': 'apiVersion: v2\nname: web\nversion: 1.10.0\n',
  'web/templates/a.yaml': '{{ .Values }}',
};
const packFiles = {
  'pack.json': '{"name":"web-pack","version":"2.0.0","layer":"addon","charts":["charts/web"]}',
  'charts/Chart.yaml': 'name: inner\nversion: 1.0.0\n',
};

async function archiveOf(files: Readonly<Record<string, string>>, name: string, flags: readonly string[] = []) {
  const folder = await folderWith(files);
  const file = join(await temporaryFolder(), name);
  await run('tar', ['-czf', file, '-C', folder, ...flags, '.']);
  return file;
}

describe('a chart or a pack', () => {
  it('is told by what its folder holds', async () => {
    const chart = join(await folderWith(chartFiles), 'web');
    await expect(readProfile(chart)).resolves.toEqual({
      ...{ kind: 'chart', name: 'web', version: '1.10.0', file: chart, source: 'folder' },
      digest: undefined,
    });
    const pack = await folderWith(packFiles);
    await expect(readProfile(pack)).resolves.toMatchObject({
      ...{ kind: 'pack', name: 'web-pack', version: '2.0.0', file: pack, source: 'folder' },
    });
  });

  it('is told by what its archive holds, whatever its name', async () => {
    const chart = await archiveOf(chartFiles, 'a.bin');
    await expect(readProfile(chart)).resolves.toEqual({
      ...{ kind: 'chart', name: 'web', version: '1.10.0', file: chart, source: 'archive' },
      digest: sha256(await readFile(chart)),
    });
    for (const files of [packFiles, { 'web-pack-2.0.0/pack.json': packFiles['pack.json'] }]) {
      const pack = await archiveOf(files, 'pack.tgz');
      await expect(readProfile(pack)).resolves.toMatchObject({ kind: 'pack', name: 'web-pack', version: '2.0.0' });
    }
  });

  it.each([
    ['a Chart.yaml without a version', { 'Chart.yaml': 'name: web\n' }, /Chart\.yaml', version: .*expected string/],
    ['a pack.json that is no JSON', { 'pack.json': '{' }, /pack\.json': is not JSON/],
  ])('is refused for %s', async (_what, files, reason) => {
    const { code, message } = await failureOf(readProfile(await folderWith(files)));
    expect(code).toBe('PROFILE_INVALID');
    expect(message).toMatch(reason);
  });

  it('is refused as an archive that holds neither, that climbs out, or that is damaged', async () => {
    const neither = await failureOf(readProfile(await archiveOf({ 'a/b/Chart.yaml': 'name: web' }, 'a.tgz')));
    expect(neither.message).toMatch(/holds neither a pack .* nor a Helm chart/);
    const climbing = await failureOf(
      readProfile(await archiveOf(chartFiles, 'b.tgz', ['--transform', 's,^\\.,../..,'])),
    );
    expect(climbing.code).toBe('ARCHIVE_INVALID');
    const damaged = await failureOf(readProfile(await fileWith('\u001F\u008B', 'c.tgz').then(asGzip)));
    expect(damaged.code).toBe('ARCHIVE_INVALID');
  });
});

async function asGzip(file: string): Promise<string> {
  await writeFile(file, Buffer.from([0x1f, 0x8b, 0x08, 0x00, 0x01]));
  return file;
}

describe('an address', () => {
  it.each([
    ['oci://ghcr.io/org/charts/web:1.2.3', 'chart', 'web', '1.2.3'],
    [`oci://localhost:5000/web@sha256:${'0'.repeat(64)}`, 'chart', 'web', undefined],
    ['oci://harbor.example/base/spectro-packs/archive/web:1.2.3', 'pack', 'web', '1.2.3'],
    ['https://charts.example/stable/web:1.2.3', 'chart', 'web', '1.2.3'],
    ['https://charts.example/web-app-1.2.3.tgz', 'chart', 'web-app', '1.2.3'],
    ['https://charts.example/a/web.tgz?token=x', 'chart', 'web', undefined],
  ])('%s is told apart and not fetched', async (file, kind, name, version) => {
    await expect(readProfile(file)).resolves.toEqual({
      kind,
      name,
      version,
      file,
      source: 'remote',
      digest: undefined,
    });
  });

  it.each([
    ['oci://ghcr.io/org/web', /oci:\/\/HOST\/PATH:VERSION/],
    ['oci://ghcr.io', /oci:\/\/HOST\/PATH:VERSION/],
    ['https://example.com/profile.json', /https:\/\/HOST\/PATH\/NAME:VERSION/],
    ['https://example.com:8443/', /https:\/\/HOST\/PATH\/NAME:VERSION/],
    ['ftp://example.com/web:1', /'ftp' is not understood/],
  ])('%s is refused', async (address, reason) => {
    const { code, message } = await failureOf(readProfile(address));
    expect(code).toBe('PROFILE_INVALID');
    expect(message).toMatch(reason);
  });

  it('is refused where it holds a login, which is not shown', async () => {
    const error = await failureOf(readProfile('https://token-of-ci@charts.example/web:1'));
    expect(error.code).toBe('PROFILE_INVALID');
    expect(`${error.message} ${error.hint ?? ''}`).not.toContain('token-of-ci');
  });
});
