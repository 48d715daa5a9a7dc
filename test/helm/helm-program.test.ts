import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { findHelm } from '../../src/helm/helm-program.ts';
import { expectError } from '../support/expect-error.ts';
import { helmPath } from '../support/helm.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** A program in a folder of its own that says that it is Helm of some version. */
async function fakeHelm(version: string): Promise<string> {
  const path = join(await temporaryFolder(), 'helm');
  await writeFile(path, `#!/bin/sh\necho '${version}'\n`, { mode: 0o755 });
  return path;
}

describe('findHelm', () => {
  it('takes the one that is named, before the environment, before PATH, before the pinned one', async () => {
    const [named, inEnvironment, inPath] = [
      await fakeHelm('v3.8.0'),
      await fakeHelm('v3.9.1'),
      await fakeHelm('v3.18.2'),
    ];
    const PATH = `relative:/nowhere:${dirname(inPath)}:${dirname(named)}:/bin`;
    const environment = { PATH, EDGE_BUNDLE_HELM: inEnvironment };
    expect(await findHelm({ helm: named, environment })).toMatchObject({ path: named, version: 'v3.8.0' });
    expect(await findHelm({ environment })).toMatchObject({ path: inEnvironment, version: 'v3.9.1' });
    expect(await findHelm({ environment: { PATH } })).toMatchObject({ path: inPath, version: 'v3.18.2' });
    expect(await findHelm({ environment: { PATH, EDGE_BUNDLE_HELM: '' } })).toMatchObject({ path: inPath });
    expect(await findHelm({ environment: {} })).toEqual({ path: helmPath, version: 'v4.1.4', isolation: [] });
  });

  it('takes the network away from it where the system allows that', async () => {
    const { isolation } = await findHelm({ helm: helmPath, environment: { PATH: process.env.PATH } });
    if (isolation.length > 0) expect(isolation[0]).toMatch(/^\/.*\/unshare$/);
    // As on a system that does not.
    const folder = await temporaryFolder();
    await writeFile(
      join(folder, 'unshare'),
      '#!/bin/sh\necho "unshare failed: Operation not permitted" >&2; exit 1\n',
      {
        mode: 0o755,
      },
    );
    const without = await findHelm({ helm: helmPath, environment: { PATH: folder } });
    expect(without).toEqual({ path: helmPath, version: 'v4.1.4', isolation: [] });
  });

  it('passes over what is in PATH and is no program', async () => {
    const [file, folder] = [await temporaryFolder(), await temporaryFolder()];
    await writeFile(join(file, 'helm'), 'text');
    await mkdir(join(folder, 'helm'));
    const linked = await temporaryFolder();
    await symlink(helmPath, join(linked, 'helm'));
    const environment = { PATH: [file, folder, linked].join(':') };
    expect(await findHelm({ environment })).toMatchObject({ path: join(linked, 'helm'), version: 'v4.1.4' });
  });

  it.each(['v2.17.0', 'v3.7.2', 'v0.1.0'])('refuses Helm %s', async (version) => {
    const helm = await fakeHelm(version);
    const error = await expectError('HELM_MISSING', `is Helm ${version}; 3.8 or newer is needed`, () =>
      findHelm({ helm, environment: {} }),
    );
    expect(error.hint).toContain('--helm');
  });

  it.each([
    ['is not there', '/nowhere/helm', 'is no program'],
    ['is a folder', '/tmp', 'is no program'],
    ['is another program', '/bin/true', 'it tells no version'],
    ['fails', '/bin/false', 'failed without saying why'],
  ])('refuses one that is named and %s', async (_what, helm, part) => {
    const error = await expectError('HELM_MISSING', part, () => findHelm({ helm, environment: {} }));
    expect(error.message).toContain(helm);
    expect(error.hint).toContain('scripts/setup');
  });

  it('is interrupted', async () => {
    await expectError('ABORTED', '', () => findHelm({ helm: helmPath, environment: {}, signal: AbortSignal.abort() }));
  });
});
