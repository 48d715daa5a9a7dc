import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { bootReport } from '../support/boot-report.ts';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { blob, image, noise, pushAll } from '../support/graphs.ts';
import { extractFrom, installerIso } from '../support/installer-iso.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const script = fileURLToPath(new URL('../../scripts/build-iso', import.meta.url));
const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

let source: DockerRegistry;
let folder: string;
let settings: Record<string, string>;

beforeAll(async () => {
  [source, folder] = await Promise.all([startDockerRegistry(), temporaryFolder()]);
  const client = new RegistryClient({ plainHttp: 'all' });
  const app = image([blob(noise(300_000, 'app'), 'application/vnd.oci.image.layer.v1.tar+gzip')]);
  const repository = client.repository(source.host, 'team/app');
  await pushAll(repository, app);
  await repository.tag(app.descriptor, '1.0');
  await client.close();
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const program = join(folder, 'edge-bundle');
  await writeFile(
    program,
    `#!/bin/sh\nexec '${process.execPath}' --import '${import.meta.resolve('tsx')}' '${main}' "$@"\n`,
    {
      mode: 0o755,
    },
  );
  await writeFile(join(folder, 'images.txt'), `${source.host}/team/app:1.0\n`);
  await writeFile(join(folder, 'content.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
  await writeFile(join(folder, 'content.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  settings = {
    EDGE_BUNDLE: program,
    PROFILES: join(folder, 'images.txt'),
    BUILD_OPTIONS: '--plain-http',
    LOADER: '0',
    PRIVATE_KEY: join(folder, 'content.key'),
    PUBLIC_KEY: join(folder, 'content.pub'),
    SOURCE_DATE_EPOCH: '1700000000',
  };
});

afterAll(async () => {
  await source.stop();
});

function buildIso(
  environment: Readonly<Record<string, string>>,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { PATH: process.env.PATH ?? '', HOME: folder, ...environment };
  return new Promise((resolve) => {
    execFile(script, { cwd: folder, env }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
    });
  });
}

describe('the ISO build job', () => {
  it('goes from images to an installer ISO that is signed and verified, and boots as before', async () => {
    const installer = await installerIso();
    const iso = join(folder, 'edge.iso');
    const { code, stdout, stderr } = await buildIso({ ...settings, INSTALLER_ISO: installer, ISO: iso });
    expect(code, stderr).toBe(0);
    expect(stdout).toBe(`${iso}\n`);
    expect(stderr).toMatch(/core-edge-[0-9a-f]{16}\.tar\.zst .* yes, by checksums/);
    expect(bootReport(iso)).toBe(bootReport(installer));
  });

  it('makes an ISO of its own, with the configuration that leads hosts to a Harbor', async () => {
    const iso = join(folder, 'data.iso');
    const { code, stderr } = await buildIso({ ...settings, ISO: iso, HARBOR: 'https://10.0.0.5:30003' });
    expect(code, stderr).toBe(0);
    const registry = source.host.replace(':', '_');
    const hosts = await extractFrom(iso, `/mirror-config/containerd/certs.d/${registry}_/hosts.toml`);
    expect(await readFile(hosts, 'utf8')).toContain('https://10.0.0.5:30003/v2/spectro-images/');
  });

  it('leaves the bundle where CanvOS finds it', async () => {
    const canvos = join(folder, 'CanvOS');
    await mkdir(canvos);
    const { code, stdout, stderr } = await buildIso({ ...settings, CANVOS: canvos });
    expect(code, stderr).toBe(0);
    // What its build copies: content-*/*.zst.
    const [content = ''] = (await readdir(canvos)).filter((name) => name.startsWith('content-'));
    const found = (await readdir(join(canvos, content))).filter((name) => name.endsWith('.zst'));
    expect(found).toHaveLength(1);
    expect(stdout.trim()).toBe(join(canvos, content, found[0] ?? ''));
  });

  it('exits with 2 for wrong settings, and with the code of what failed', async () => {
    expect(await buildIso({})).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('PROFILES is not set') as string,
    });
    expect((await buildIso({ ...settings, PUBLIC_KEY: join(folder, 'nowhere.pub') })).code).toBe(2);
    expect((await buildIso({ ...settings, CLUSTER_DEFINITION: join(folder, 'images.txt') })).code).toBe(2);
    expect((await buildIso({ ...settings, HARBOR_PROJECT: 'edge' })).code).toBe(2);
    const other = join(folder, 'other.pub');
    await writeFile(other, generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }));
    expect((await buildIso({ ...settings, PUBLIC_KEY: other })).code).toBe(4);
    await writeFile(join(folder, 'gone.txt'), `${source.host}/team/gone:1.0\n`);
    expect((await buildIso({ ...settings, PROFILES: join(folder, 'gone.txt') })).code).toBe(3);
  });

  it('looks for what the last steps need before the first one, which may take hours', async () => {
    const config = join(folder, 'first-boot.yaml');
    await writeFile(config, 'sources: [{directory: /content}]\nharbour: https://harbor.example\n');
    const withoutXorriso = join(folder, 'bin');
    await mkdir(withoutXorriso);
    for (const name of ['bash', 'dirname', 'node', 'sh']) {
      const { stdout } = await promisify(execFile)('sh', ['-c', `command -v ${name}`]);
      await symlink(stdout.trim(), join(withoutXorriso, name));
    }
    const wrong: readonly (readonly [Readonly<Record<string, string>>, number, RegExp])[] = [
      [{ FIRST_BOOT_CONFIG: config }, 2, /harbour[^]*FIRST_BOOT_CONFIG/],
      [{ ARCH: 's390x', LOADER: '1' }, 2, /ARCH: there is no loader package for 's390x'/],
      [{ PRIVATE_KEY: '' }, 2, /PUBLIC_KEY: hosts would refuse/],
      [{ EDGE_BUNDLE: join(folder, 'nowhere') }, 2, /EDGE_BUNDLE: .* is no program/],
      [{ PATH: withoutXorriso }, 1, /xorriso is not installed/],
    ];
    for (const [setting, code, reason] of wrong) {
      const ended = await buildIso({ ...settings, ...setting });
      expect(ended.stderr).toMatch(reason);
      expect(ended.stderr).not.toContain('building the bundle');
      expect(ended.code).toBe(code);
    }
  });

  it('puts no configuration of the first boot on an ISO that would fail where nobody can mend it', async () => {
    const config = join(folder, 'wrong.yaml');
    await writeFile(config, 'sources: []\n');
    const args = ['iso', 'create', join(folder, 'images.txt'), '--out', join(folder, 'no.iso')];
    const { EDGE_BUNDLE: program = '' } = settings;
    const run = promisify(execFile)(program, [...args, '--first-boot-config', config]);
    await expect(run).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('wrong.yaml') as string });
  });
});
