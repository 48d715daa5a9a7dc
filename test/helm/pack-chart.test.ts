import { execFileSync } from 'node:child_process';
import { chmod, mkdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { packChart } from '../../src/helm/pack-chart.ts';
import { readChart } from '../../src/helm/read-chart.ts';
import { expectError } from '../support/expect-error.ts';
import { helmPath } from '../support/helm.ts';
import { type FileTexts, writeFiles } from '../support/tar-archive.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const metadata = 'apiVersion: v2\nname: app\nversion: 1.2.3\n';

async function chartFolder(files: FileTexts): Promise<string> {
  const folder = join(await temporaryFolder(), 'some-folder');
  writeFiles(folder, { 'Chart.yaml': metadata, ...files });
  return folder;
}

async function packedPaths(folder: string): Promise<string[]> {
  return [...(await readChart(await packChart(folder), 'packed')).files.keys()].sort();
}

describe('packChart', () => {
  it('makes the same bytes of the same files, whatever their times, modes and place', async () => {
    const files = { 'values.yaml': 'a: b\n', 'templates/a.yaml': 'a', 'templates/b/c.yaml': 'c' };
    const [first, second] = [
      await chartFolder(files),
      await chartFolder(Object.fromEntries(Object.entries(files).reverse())),
    ];
    await utimes(join(second, 'values.yaml'), 1, 1);
    await chmod(join(second, 'values.yaml'), 0o755);
    expect((await packChart(first)).equals(await packChart(second))).toBe(true);
  });

  it('is read by Helm', async () => {
    const folder = await chartFolder({ 'templates/a.yaml': 'a: {{ .Chart.Name }}' });
    await writeFile(join(folder, '..', 'app.tgz'), await packChart(folder));
    const options = { cwd: join(folder, '..'), env: { HOME: folder } };
    expect(execFileSync(helmPath, ['template', 'x', 'app.tgz'], options).toString()).toContain('a: app');
    expect(execFileSync(helmPath, ['show', 'chart', 'app.tgz'], options).toString()).toContain('version: 1.2.3');
  });

  it('leaves out what helm package does', async () => {
    const ignored = [
      '# a comment',
      '',
      '*.bak',
      '/top.txt',
      'docs/*.md',
      'build/',
      '[ab]?.log',
      'with\\*star',
      '  spaced.txt  ',
      'deep/nested/file.txt',
    ];
    const files = {
      '.helmignore': ignored.join('\n'),
      'a.bak': '',
      'templates/b.bak': '',
      'top.txt': '',
      'sub/top.txt': '',
      'docs/a.md': '',
      'docs/more/b.md': '',
      'sub/docs/a.md': '',
      'build/x': '',
      'sub/build/y': '',
      'sub/build.txt': '',
      'a1.log': '',
      'c1.log': '',
      'ab1.log': '',
      'with*star': '',
      'with-star': '',
      'spaced.txt': '',
      'deep/nested/file.txt': '',
      'other/deep/nested/file.txt': '',
      'templates/.hidden.yaml': '',
      'templates/a.yaml': '',
      'files/.hidden': '',
    };
    const folder = await chartFolder(files);
    execFileSync(helmPath, ['package', folder], { cwd: join(folder, '..'), env: { HOME: folder } });
    const byHelm = execFileSync('tar', ['-tzf', 'app-1.2.3.tgz'], { cwd: join(folder, '..') }).toString();
    const expected = byHelm
      .trim()
      .split('\n')
      .map((path) => path.replace(/^app\//, ''));
    expect(await packedPaths(folder)).toEqual(expected.sort());
    expect(expected.length).toBeLessThan(Object.keys(files).length);
  });

  it.each(['!*.yaml', '!templates', '!Chart.yaml\n*.txt'])(
    'leaves out what helm package does with the rule %j',
    async (rule) => {
      const folder = await chartFolder({ '.helmignore': rule, 'a.txt': '', 'b.yaml': '', 'templates/c.yaml': '' });
      const pack = (): unknown =>
        execFileSync(helmPath, ['package', folder], { cwd: join(folder, '..'), env: { HOME: folder }, stdio: 'pipe' });
      const helmCanPack = (() => {
        try {
          pack();
          return true;
        } catch {
          return false;
        }
      })();
      if (!helmCanPack) {
        await expectError('CHART_INVALID', 'Chart.yaml', () => packChart(folder));
        return;
      }
      const byHelm = execFileSync('tar', ['-tzf', 'app-1.2.3.tgz'], { cwd: join(folder, '..') }).toString();
      const expected = byHelm
        .trim()
        .split('\n')
        .map((path) => path.replace(/^app\//, ''));
      expect(await packedPaths(folder)).toEqual(expected.sort());
    },
  );

  it('follows a link to a file of the chart, and refuses one that leads out of it', async () => {
    const folder = await chartFolder({ 'files/a.txt': 'text' });
    await symlink('a.txt', join(folder, 'files', 'b.txt'));
    const chart = await readChart(await packChart(folder), 'packed');
    expect(chart.files.get('files/b.txt')?.toString()).toBe('text');
    await symlink('/etc/passwd', join(folder, 'files', 'c.txt'));
    await expectError('CHART_INVALID', "'files/c.txt' is a link to what is not in the chart", () => packChart(folder));
  });

  it.each([
    ['to a folder', '../files', "'files/link' is neither a file nor a folder"],
    ['to itself', 'link', "'files/link'"],
    ['to nothing', 'nowhere', "'files/link' is a link to nothing"],
    [
      'to a folder beside that begins alike',
      '../../some-folder-2/x',
      "'files/link' is a link to what is not in the chart",
    ],
  ])('refuses a link %s', async (_what, target, part) => {
    const folder = await chartFolder({ 'files/a.txt': 'text' });
    writeFiles(`${folder}-2`, { x: 'secret' });
    await symlink(target, join(folder, 'files', 'link'));
    await expectError(target === 'link' ? 'FILE_FAILED' : 'CHART_INVALID', part, () => packChart(folder));
  });

  it('refuses what is neither a file nor a folder, a .helmignore elsewhere, and a name that leads elsewhere', async () => {
    const folder = await chartFolder({});
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    await expectError('CHART_INVALID', "'pipe' is neither a file nor a folder", () => packChart(folder));
    const linked = await chartFolder({});
    await symlink('/etc/hostname', join(linked, '.helmignore'));
    await expectError('CHART_INVALID', "'.helmignore' is a link", () => packChart(linked));
    const named = await chartFolder({ 'Chart.yaml': 'name: ../../evil\nversion: 1.0.0\n' });
    await expectError('CHART_INVALID', '"../../evil"', () => packChart(named));
  });

  it('says what is missing', async () => {
    const folder = await temporaryFolder();
    await expectError('FILE_FAILED', 'no such file', () => packChart(join(folder, 'gone')));
    await mkdir(join(folder, 'empty'));
    await expectError('CHART_INVALID', 'it has no Chart.yaml', () => packChart(join(folder, 'empty')));
    await expectError('ABORTED', '', () => packChart(folder, { signal: AbortSignal.abort() }));
  });
});
