import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { blob, image, noise, pushAll } from '../support/graphs.ts';
import { type Network, startNetwork } from '../support/network.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { runInProcess } from './run-cli.ts';

const root = image([blob(noise(20_000, 'mirrored'))]);

let registry: DockerRegistry;
let network: Network;
let folder: string;
let profile: string;

beforeAll(async () => {
  registry = await startDockerRegistry();
  network = await startNetwork({ 'origin.test': {} });
  folder = await temporaryFolder();
  const client = new RegistryClient({ plainHttp: 'all' });
  const repository = client.repository(registry.host, 'hub/team/app');
  await pushAll(repository, root);
  await repository.tag(root.descriptor, '1');
  await client.close();
  profile = join(folder, 'images.txt');
  await writeFile(profile, 'origin.test/team/app:1\n');
});
afterAll(async () => {
  await network.stop();
  await registry.stop();
});

async function build(...args: string[]) {
  const out = join(folder, `out${args.join('').length}`);
  const command = ['build', profile, '--out', out, '--output', 'json', '--ca-cert', network.caPath, ...args];
  const { exitCode, stdout, stderr } = await runInProcess(command, { environment: network.environment });
  expect(stderr).not.toMatch(/^error/m);
  expect(exitCode).toBe(0);
  return JSON.parse(stdout) as unknown;
}

describe('edge-bundle build', () => {
  it('finds images under another name with --map', async () => {
    const built = await build('--map', `origin.test=${registry.host}/hub`, '--plain-http');
    expect(built).toMatchObject({ images: 1 });
  });

  it('finds images through --hosts-dir', async () => {
    await mkdir(join(folder, 'hosts', 'origin.test'), { recursive: true });
    const text = `[host."http://${registry.host}/v2/hub"]\noverride_path = true\n`;
    await writeFile(join(folder, 'hosts', 'origin.test', 'hosts.toml'), text);
    expect(await build('--hosts-dir', join(folder, 'hosts'))).toMatchObject({ images: 1 });
  });

  it('finds images through --registries-conf', async () => {
    const path = join(folder, 'registries.conf');
    await writeFile(
      path,
      `[[registry]]\nlocation = "origin.test"\n[[registry.mirror]]\nlocation = "${registry.host}/hub"\ninsecure = true\n`,
    );
    expect(await build('--registries-conf', path)).toMatchObject({ images: 1 });
  });

  it('finds images by the mapping rules of user data', async () => {
    const path = join(folder, 'user-data.yaml');
    const rules = `{ "origin.test": "${registry.host}/hub" }`;
    await writeFile(path, `stylus:\n  externalRegistries:\n    registryMappingRules: ${rules}\n`);
    expect(await build('--map', path, '--plain-http')).toMatchObject({ images: 1 });
  });

  it('trusts the CAs of NODE_EXTRA_CA_CERTS besides its own', async () => {
    const { stderr } = await runInProcess(['build', profile, '--out', join(folder, 'extra')], {
      environment: { ...network.environment, NODE_EXTRA_CA_CERTS: network.caPath },
    });
    expect(stderr).toContain('origin.test answered 404');
  });

  it.each([
    [['--hosts-dir', '/nowhere/hosts'], /^error: cannot read the mirrors in '\/nowhere\/hosts'/],
    [['--registries-conf', '/nowhere/registries.conf'], /cannot read the registries in '\/nowhere\/registries.conf'/],
    [['--map', '/nowhere/user-data'], /^error: cannot read the mapping rules in '\/nowhere\/user-data'/],
    [['--map', 'a=b=c'], /^error: 'a=b=c' is not a mapping rule: expected FROM=TO/],
  ])('says what is wrong with %j', async (args, message) => {
    const out = join(folder, 'wrong');
    const { exitCode, stderr } = await runInProcess(['build', profile, '--out', out, ...args]);
    expect(stderr).toMatch(message);
    expect(exitCode).toBe(1);
  });
});
