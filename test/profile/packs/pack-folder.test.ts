import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

import { PackFolder } from '../../../src/profile/packs/pack-folder.ts';
import { packChart } from '../../support/charts.ts';
import { failureOf } from '../../support/expect-error.ts';
import { expectError } from '../../support/expect-error.ts';
import { processorTime } from '../../support/processor-time.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { packFiles, tarGz, writeFiles } from './pack-files.ts';

const query = (name: string, version?: string, tag?: string) => ({ name, version, tag });

describe('PackFolder', () => {
  it('finds packs at any depth by what pack.json says, in folders and archives', async () => {
    const root = await temporaryFolder();
    await writeFiles(join(root, 'packs/some-folder'), packFiles('web', '1.0.0'));
    await writeFiles(join(root, 'other'), packFiles('web', '1.1.0'));
    const archived = await writeFiles(join(await temporaryFolder(), 'x'), packFiles('db', '2.0.0'));
    await writeFile(join(root, 'packs/anything.tar.gz'), tarGz(archived, '.'));
    const folder = new PackFolder(root);
    expect((await folder.find(query('web', '1.0.0')))?.origin).toBe(join(root, 'packs/some-folder'));
    expect((await folder.find(query('web', '1.1.0')))?.origin).toBe(join(root, 'other'));
    expect((await folder.find(query('db', '2.0.0')))?.origin).toBe(join(root, 'packs/anything.tar.gz'));
    expect(await folder.find(query('some-folder', '1.0.0'))).toBeUndefined();
    expect((await new PackFolder(join(root, 'other')).find(query('web', '1.1.0')))?.version).toBe('1.1.0');
  });

  it('finds charts only for those who ask for a chart, before packs of the same name', async () => {
    const root = await temporaryFolder();
    const { archive } = packChart('apiVersion: v2\nname: web\nversion: 1.0.0\n');
    await writeFile(join(root, 'web-1.0.0.tgz'), archive);
    const folder = new PackFolder(root);
    expect(await folder.find(query('web', '1.0.0'))).toBeUndefined();
    const found = await folder.find({ ...query('web', '1.0.0'), isChart: true });
    expect(found).toMatchObject({ name: 'web', version: '1.0.0', isChart: true, charts: [{ archive }], manifests: [] });

    const both = await temporaryFolder();
    await writeFile(join(both, 'a.tgz'), archive);
    await writeFiles(join(both, 'pack'), packFiles('web', '1.0.0'));
    await writeFiles(join(both, 'other'), packFiles('db', '2.0.0'));
    const mixed = new PackFolder(both);
    expect((await mixed.find(query('web', '1.0.0')))?.origin).toBe(join(both, 'pack'));
    expect((await mixed.find({ ...query('web', '1.0.0'), isChart: true }))?.origin).toBe(join(both, 'a.tgz'));
    expect((await mixed.find({ ...query('db', '2.0.0'), isChart: true }))?.origin).toBe(join(both, 'other'));
  });

  it('tries the tag where there is no such version', async () => {
    const root = await temporaryFolder();
    await writeFiles(join(root, 'a'), packFiles('web', '1.0.0'));
    await writeFiles(join(root, 'b'), packFiles('web', '1.0.1'));
    const folder = new PackFolder(root);
    const found = [query('web', '1.0.x', '1.0.1'), query('web', undefined, '1.0.0'), query('web', '1.0.0', '1.0.1')];
    expect(await Promise.all(found.map(async (each) => (await folder.find(each))?.version))).toEqual([
      '1.0.1',
      '1.0.0',
      '1.0.0',
    ]);
  });

  it('says which versions there are, where the one that is asked for is not', async () => {
    const root = await temporaryFolder();
    await writeFiles(join(root, 'a'), packFiles('web', '1.0.0'));
    await writeFiles(join(root, 'b'), packFiles('web', '0.9.0'));
    const folder = new PackFolder(root);
    const error = await failureOf(folder.find(query('web', '2.0.0', '2.x')));
    expect([error.code, error.exitCode]).toEqual(['PACK_NOT_FOUND', 3]);
    expect(error.message).toBe(`the pack 'web' 2.0.0 or 2.x is not in '${root}', which has 0.9.0, 1.0.0`);
    await expectError('PACK_NOT_FOUND', "'web' without a version", () => folder.find(query('web')));
  });

  it('reads nothing but pack.json of the packs that nobody asks for', async () => {
    const root = await temporaryFolder();
    await writeFiles(join(root, 'good'), packFiles('good'));
    // Each of these could not be read as a whole.
    await writeFiles(join(root, 'lacks'), { 'pack.json': packFiles('lacks')['pack.json'] ?? '' });
    await writeFiles(join(root, 'links'), packFiles('links'));
    await symlink('/', join(root, 'links/root'));
    const folder = new PackFolder(root);
    expect((await folder.find(query('good', '1.0.0')))?.name).toBe('good');
    await expectError('PROFILE_INVALID', '3 problems', () => folder.find(query('lacks', '1.0.0')));
    await expectError('PROFILE_INVALID', 'leads out', () => folder.find(query('links', '1.0.0')));
  });

  it('passes over charts, hidden folders, and what is no pack', async () => {
    const root = await temporaryFolder();
    await writeFiles(join(root, 'web'), packFiles());
    await writeFiles(join(root, '.git/hidden'), packFiles('hidden'));
    await writeFiles(join(root, 'charts'), { 'Chart.yaml': 'name: x', 'README.md': '' });
    await writeFile(join(root, 'chart.tgz'), tarGz(join(root, 'charts'), '.'));
    const folder = new PackFolder(root);
    expect((await folder.find(query('web', '1.0.0')))?.name).toBe('web');
    expect(await folder.find(query('hidden', '1.0.0'))).toBeUndefined();
  });

  it('says what it cannot read, where the pack may be one of those', async () => {
    const root = await temporaryFolder();
    await writeFiles(join(root, 'web'), packFiles());
    await writeFiles(root, {
      'broken/pack.json': '{',
      'large/pack.json': Buffer.alloc(2 ** 20 + 1),
      'broken.tar.gz': 'x',
    });
    const folder = new PackFolder(root);
    expect((await folder.find(query('web', '1.0.0')))?.name).toBe('web');
    const error = await failureOf(folder.find(query('ghost', '1.0.0')));
    expect([error.code, error.failures.map(({ code }) => code).sort()]).toEqual([
      'PACK_NOT_FOUND',
      ['ARCHIVE_INVALID', 'PROFILE_INVALID', 'PROFILE_INVALID'],
    ]);
  });

  it('takes the same pack twice, and refuses two that differ', async () => {
    const root = await temporaryFolder();
    await writeFiles(join(root, 'a'), packFiles());
    await cp(join(root, 'a'), join(root, 'b'), { recursive: true });
    expect((await new PackFolder(root).find(query('web', '1.0.0')))?.origin).toBe(join(root, 'a'));
    await writeFile(join(root, 'b/values.yaml'), 'pack: {}\n');
    await expectError('PROFILE_INVALID', `'${join(root, 'a')}' and '${join(root, 'b')}' differ`, () =>
      new PackFolder(root).find(query('web', '1.0.0')),
    );
  });

  it('says which folder cannot be read, and ends when it is aborted', async () => {
    await expectError('FILE_FAILED', "'/nowhere/packs'", () => new PackFolder('/nowhere/packs').find(query('web')));
    const root = await temporaryFolder();
    await expectError('ABORTED', '', () => new PackFolder(root).find(query('web'), { signal: AbortSignal.abort() }));
  });

  it('indexes 220 packs in time', async () => {
    const root = await temporaryFolder();
    for (let index = 0; index < 220; index += 1) {
      await mkdir(join(root, `packs/p${index}`), { recursive: true });
      await writeFile(join(root, `packs/p${index}/pack.json`), packFiles(`p${index}`)['pack.json'] ?? '');
    }
    const spentMs = processorTime();
    expect(await new PackFolder(root).find(query('ghost'))).toBeUndefined();
    expect(spentMs()).toBeLessThan(5_000);
  });
});

const packs = fileURLToPath(new URL('../../../../shared/packs', import.meta.url));

describe.skipIf(!existsSync(packs))('PackFolder on real packs (needs ../shared/packs)', () => {
  it('finds every one of them, with all charts and manifests that it names', async () => {
    const folder = new PackFolder(packs);
    for (const name of await readdir(packs)) {
      const json = JSON.parse(await readFile(join(packs, name, 'pack.json'), 'utf8')) as Record<
        string,
        string & string[]
      >;
      const pack = await folder.find({ name: json.name ?? '', version: json.version, tag: undefined });
      expect(pack?.origin).toBe(join(packs, name));
      expect(pack?.charts.map(({ path }) => path)).toEqual(json.charts ?? []);
      expect(pack?.manifests.map(({ path }) => path)).toEqual(json.kubeManifests ?? []);
      for (const { path, archive } of pack?.charts ?? []) {
        const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
        expect(hash(archive)).toBe(hash(await readFile(join(packs, name, path))));
      }
    }
  });
});
