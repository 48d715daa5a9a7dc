import { readdir, readFile } from 'node:fs/promises';
import { join, sep } from 'node:path';

import { describe, expect, it } from 'vitest';

import { saveProfile } from '../../src/palette/save-profile.ts';
import { parseProfileDocument } from '../../src/profile/profile-document.ts';
import { readProfile } from '../../src/profile/profile.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { exportedProfile } from './palette-server.ts';

const profile = (name: string, version?: string) =>
  parseProfileDocument({ metadata: { name }, spec: { version, template: { type: 'infra', packs: [] } } }, 'test');

describe('saveProfile', () => {
  it('writes what is read again as the same profile, but for sensitive values', async () => {
    const folder = join(await temporaryFolder(), 'new', 'folder');
    const path = await saveProfile(parseProfileDocument(exportedProfile, 'test'), folder);
    expect(path).toBe(join(folder, 'store-1.0.0.json'));
    const [cidr] = exportedProfile.spec.variables;
    await expect(readProfile(path)).resolves.toMatchObject({
      kind: 'profile',
      document: {
        ...exportedProfile,
        spec: {
          ...exportedProfile.spec,
          variables: [cidr, { name: 'password', required: true, isSensitive: true }],
        },
      },
    });
    expect(await readFile(path, 'utf8')).not.toContain('sensitive-default');
  });

  it('writes the same bytes for the same profile, in place of the file that was there', async () => {
    const folder = await temporaryFolder();
    const document = parseProfileDocument(exportedProfile, 'test');
    const first = await readFile(await saveProfile(document, folder));
    const second = await readFile(await saveProfile(structuredClone(document), folder));
    expect(second).toEqual(first);
    expect(await readdir(folder)).toEqual(['store-1.0.0.json']);
  });

  it.each([
    ['../../etc/passwd', '1.0.0'],
    ['..', undefined],
    ['.hidden', '1'],
    ['a\0b\n', '/'],
    ['ML Ops', '1.0.0'],
    ['ü'.repeat(300), 'v'.repeat(300)],
  ])('makes a safe name of %j %j, inside the folder', async (name, version) => {
    const folder = await temporaryFolder();
    const path = await saveProfile(profile(name, version), folder);
    expect(path.startsWith(folder + sep)).toBe(true);
    const [file = ''] = await readdir(folder);
    expect(join(folder, file)).toBe(path);
    expect(file).toMatch(/^[A-Za-z0-9][A-Za-z0-9._+-]*-[0-9a-f]{8}\.json$/);
  });

  it('gives names that look alike files of their own', async () => {
    const folder = await temporaryFolder();
    for (const name of ['a b', 'a/b', 'a-b']) await saveProfile(profile(name), folder);
    expect(await readdir(folder)).toHaveLength(3);
  });
});
