import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';

import { describe, expect, it } from 'vitest';

import { readChart } from '../../src/helm/read-chart.ts';
import { expectError } from '../support/expect-error.ts';
import { chartFiles, helmPath, makeChart } from '../support/helm.ts';
import { craftTarGzip, type FileTexts, tarGzip, writeFiles } from '../support/tar-archive.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

describe('readChart', () => {
  it('reads what helm package writes', async () => {
    const folder = await temporaryFolder();
    const metadata = [
      'apiVersion: v2',
      'name: app',
      'version: 1.2.3-rc.1+build',
      'appVersion: 2.0',
      'kubeVersion: ">=1.28"',
      'annotations: {category: Storage, empty: null}',
      'dependencies: [{name: sub, alias: other, version: 1.x, repository: "https://charts.example"}]',
    ];
    writeFiles(folder, {
      'app/Chart.yaml': `${metadata.join('\n')}\n`,
      'app/values.yaml': '\uFEFFa: b\n',
      'app/templates/a.yaml': 'a: b\n',
      ...prefixed('app/charts/', chartFiles({ 'values.yaml': 'c: d\n' }, 'sub')),
    });
    execFileSync(helmPath, ['package', 'app'], { cwd: folder, env: { HOME: folder } });
    const archive = execFileSync('cat', ['app-1.2.3-rc.1+build.tgz'], { cwd: folder });
    const chart = await readChart(archive, 'app.tgz');
    expect(chart).toMatchObject({
      ...{ name: 'app', version: '1.2.3-rc.1+build', appVersion: '2', kubeVersion: '>=1.28', type: 'application' },
      annotations: { category: 'Storage' },
      dependencies: [{ name: 'sub', alias: 'other', version: '1.x', repository: 'https://charts.example' }],
      values: 'a: b\n',
    });
    expect([...chart.files.keys()].sort()).toEqual(['Chart.yaml', 'templates/a.yaml', 'values.yaml']);
    expect(chart.subcharts.map(({ name, values }) => [name, values])).toEqual([['sub', 'c: d\n']]);
    expect(chart.archive).toBe(archive);
    expect(chart.digest).toBe(`sha256:${createHash('sha256').update(archive).digest('hex')}`);
  });

  it('reads the requirements of a chart of API version v1, and of one without', async () => {
    const files = { 'Chart.yaml': 'name: old\nversion: 1\n', 'requirements.yaml': 'dependencies: [{name: sub}]' };
    const chart = await makeChart(files);
    expect(chart).toMatchObject({ name: 'old', version: '1', dependencies: [{ name: 'sub' }], subcharts: [] });
  });

  it('reads charts in charts, as folders and archives', async () => {
    const leaf = tarGzip(chartFiles({}, 'leaf'));
    const middle = tarGzip(chartFiles({ 'charts/leaf.tgz': leaf }, 'middle'));
    const chart = await makeChart({
      'charts/middle.tgz': middle,
      ...prefixed('charts/', chartFiles({ 'charts/leaf.tgz': leaf }, 'other')),
      'charts/.hidden/Chart.yaml': 'none',
      'charts/_old.tgz': 'none',
      'charts/README.md': 'text',
    });
    const names = chart.subcharts.map(({ name, subcharts }) => [name, ...subcharts.map((leaf) => leaf.name)]);
    expect(names.sort()).toEqual([
      ['middle', 'leaf'],
      ['other', 'leaf'],
    ]);
  });

  it('takes the last of keys that are there twice, and a library for one', async () => {
    const chart = await makeChart({ 'Chart.yaml': 'name: a\nversion: 1.0.0\ntype: library\nversion: 2.0.0\n' });
    expect(chart).toMatchObject({ version: '2.0.0', type: 'library' });
  });

  it.each([
    ['no Chart.yaml', { 'app/values.yaml': '' }, 'it has no Chart.yaml'],
    ['Chart.yaml in no folder', { 'Chart.yaml': 'name: a\nversion: 1\n' }, 'it has no Chart.yaml'],
    ['no name', { 'app/Chart.yaml': 'version: 1\n' }, "Chart.yaml: at 'name': expected a text"],
    ['an empty Chart.yaml', { 'app/Chart.yaml': '' }, "Chart.yaml: at ''"],
    ['no YAML', { 'app/Chart.yaml': 'name: [a' }, 'Chart.yaml: it is not YAML'],
    ['a mapping as the version', { 'app/Chart.yaml': 'name: a\nversion: {}\n' }, "at 'version'"],
    ['a subchart that is none', chartFiles({ 'charts/sub/values.yaml': '' }), 'app.tgz: charts/sub: it is no chart'],
    ['an endless Chart.yaml', { 'app/Chart.yaml': `name: ${'x'.repeat(1_100_000)}` }, 'at most 1048576 are read'],
    ['anchors that stand for much', { 'app/Chart.yaml': laughs() }, "at 'annotations"],
  ] as const)('says what is wrong with a chart with %s', async (_what, files: FileTexts, part) => {
    const error = await expectError('CHART_INVALID', part, () => readChart(tarGzip(files), 'app.tgz'));
    expect(error.message).toContain('app.tgz');
  });

  it.each([
    ['a path out of it', { path: 'app/../../x' }],
    ['a link', { path: 'app/templates/a.yaml', type: 'SymbolicLink', linkpath: '/etc/passwd' }],
    ['a file in it twice', { path: 'other/Chart.yaml', content: 'name: evil' }],
  ] as const)('refuses an archive with %s, as a subchart too', async (_what, entry) => {
    const files = [{ path: 'app/Chart.yaml', content: 'name: app\nversion: 1.0.0\n' }, entry];
    await expectError('ARCHIVE_INVALID', 'app.tgz', () => readChart(craftTarGzip(files), 'app.tgz'));
    await expectError('ARCHIVE_INVALID', 'app: charts/sub.tgz', () =>
      makeChart({ 'charts/sub.tgz': craftTarGzip(files) }),
    );
  });

  it('refuses an archive that holds too much in its subcharts together', async () => {
    const half = tarGzip(chartFiles({ zeros: Buffer.alloc(60 * 1024 * 1024) }, 'sub'));
    expect(half.byteLength).toBeLessThan(200_000);
    await makeChart({ 'charts/a.tgz': half });
    await expectError('ARCHIVE_INVALID', 'app: charts/', () =>
      makeChart({ 'charts/a.tgz': half, 'charts/b.tgz': half }),
    );
  });

  it('refuses charts that are nested without end', async () => {
    let archive = tarGzip(chartFiles({}, 'leaf'));
    for (let depth = 0; depth < 12; depth += 1) archive = tarGzip(chartFiles({ 'charts/sub.tgz': archive }, 'sub'));
    await expectError('CHART_INVALID', 'nested more than 10 deep', () => readChart(archive, 'app.tgz'));
  });

  it('refuses what is no archive', async () => {
    await expectError('ARCHIVE_INVALID', 'app.tgz', () => readChart(Buffer.from('<html>'), 'app.tgz'));
    await expectError('ARCHIVE_INVALID', 'app.tgz', () => readChart(gzipSync('text'), 'app.tgz'));
  });
});

function prefixed(prefix: string, files: FileTexts): FileTexts {
  return Object.fromEntries(Object.entries(files).map(([path, content]) => [`${prefix}${path}`, content]));
}

function laughs(): string {
  const lists = Array.from({ length: 40 }, (_, n) => `x${n}: &a${n} [${n === 0 ? 'ha' : `*a${n - 1}, *a${n - 1}`}]`);
  return `${lists.join('\n')}\nname: a\nversion: 1.0.0\nannotations: {all: *a39}\n`;
}
