import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterEach, describe, expect, it } from 'vitest';

import { mediaTypes } from '../../src/content/media-types.ts';
import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { startDockerRegistry } from '../support/docker-registry.ts';
import { edgeBundle } from '../support/edge-bundle.ts';
import { blob, image, noise, pushAll } from '../support/graphs.ts';
import { startRegistryProxy } from '../support/registry-proxy.ts';
import { reply, type ScriptedServer, startScriptedServer } from '../support/scripted-server.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { runInProcess } from './run-cli.ts';

let server: ScriptedServer | undefined;
afterEach(() => server?.stop());

/** An image whose registry is overloaded, always. */
async function overloaded(): Promise<string> {
  server = await startScriptedServer({ 'HEAD /v2/app/manifests/1': reply(503), 'GET /v2/app/manifests/1': reply(503) });
  const list = join(await temporaryFolder(), 'images.txt');
  await writeFile(list, `${server.host}/app:1\n`);
  return list;
}

describe('a registry that is overloaded', () => {
  it('is tried again for as long as --give-up-after says, told in one line each time: exit code 75', async () => {
    const list = await overloaded();
    const out = await temporaryFolder();
    const args = ['build', list, '--name', 'x', '--out', out, '--plain-http', '--give-up-after', '3s', '--log', 'json'];
    const { exitCode, stderr } = await edgeBundle(args);
    expect(exitCode).toBe(75);
    const lines = stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { event?: string; message: string; delayMs?: number });
    const retries = lines.filter(({ event }) => event === 'retry');
    expect(retries.length).toBeGreaterThan(0);
    for (const { message } of retries) {
      expect(message).toMatch(/^retrying in [\d.]+ m?s: .*answered 503/);
    }
    expect(retries.reduce((sum, { delayMs = NaN }) => sum + delayMs, 0)).toBeLessThanOrEqual(3_000);
  });

  it('is asked once with --retries 0', async () => {
    const list = await overloaded();
    const args = ['build', list, '--name', 'x', '--out', await temporaryFolder(), '--plain-http', '--retries', '0'];
    const { exitCode, stderr } = await edgeBundle(args);
    expect(exitCode).toBe(75);
    expect(stderr).not.toContain('retrying');
    expect(server?.requests.filter(({ path }) => path.includes('/manifests/'))).toHaveLength(1);
  });
});

describe('a build whose time is over', () => {
  it('ends with exit code 75, and the same command goes on from there', async () => {
    const registry = await startDockerRegistry();
    const proxy = await startRegistryProxy(registry.host);
    const client = new RegistryClient({ plainHttp: 'all' });
    const repository = client.repository(registry.host, 'team/app');
    const layer = blob(noise(6_000_000, 'large'), mediaTypes.ociLayerGzip);
    const root = image([layer]);
    await pushAll(repository, root);
    await repository.tag(root.descriptor, '1');
    await client.close();
    const folder = await temporaryFolder();
    const list = join(folder, 'images.txt');
    await writeFile(list, `${proxy.host}/team/app:1\n`);
    const args = ['build', list, '--name', 'x', '--out', folder, '--plain-http'];
    try {
      proxy.fault = ({ path }) =>
        path.endsWith(layer.descriptor.digest) ? { kind: 'hang', afterBytes: 4_000_000 } : undefined;
      const stopped = await runInProcess([...args, '--stop-after', '8s']);
      expect(stopped.stderr).toContain('error: stopped after 8.0 s, as --stop-after says\n');
      expect(stopped.exitCode).toBe(75);
      proxy.fault = undefined;
      const before = proxy.blobBytes;
      expect(before).toBeGreaterThan(1_500_000);
      expect((await runInProcess(args)).exitCode).toBe(0);
      // But for what was on its way, and the last megabyte, which is written when it is whole.
      expect(proxy.blobBytes - before).toBeLessThan(6_000_000 - before + 1_500_000);
    } finally {
      await proxy.stop();
      await registry.stop();
    }
  });
});

describe('the options of transfers', () => {
  it.each([
    ['--retries', 'many'],
    ['--retries', '-1'],
    ['--give-up-after', 'soon'],
    ['--give-up-after', '0'],
    ['--give-up-after', '5 m'],
    ['--limit-rate', 'fast'],
    ['--limit-rate', '0'],
    ['--limit-rate', '5X'],
    ['--max-connections-per-host', '0'],
    ['--stop-after', 'tomorrow'],
  ])('%s %s is refused: exit code 2', async (option, value) => {
    const { exitCode, stderr } = await runInProcess(['build', 'x.txt', `${option}=${value}`]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(`${option}: expected`);
  });
});
