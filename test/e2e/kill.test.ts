import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, it } from 'vitest';

import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { makeImage } from '../support/images.ts';
import { makeLayer, tarOf } from '../support/layers.ts';
import { type RegistryProxy, startRegistryProxy } from '../support/registry-proxy.ts';

const concurrency = 4;
const kills = 10;
/** What a connection may lose: what was not journalled, and what lay in the buffers of two sockets. */
const chunkBytes = 8 * 1024 * 1024;
const main = new URL('../../src/cli/main.ts', import.meta.url).pathname;

let registry: DockerRegistry;
let proxy: RegistryProxy;
let folder: string;
let blobBytes = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edge-bundle-kill-'));
  registry = await startDockerRegistry();
  proxy = await startRegistryProxy(registry.host);
  const client = new RegistryClient({ plainHttp: 'all' });
  const references: string[] = [];
  for (const [name, sizes] of Object.entries({ a: [60, 40], b: [80, 3], c: [100, 1], d: [25] })) {
    const store = client.repository(registry.host, `kill/${name}`);
    const layers = [];
    for (const megabytes of sizes) {
      const content = randomBytes(megabytes * 1_000_000);
      const layer = await makeLayer(store, tarOf([{ path: 'data', content }]), { level: 1 });
      blobBytes += layer.descriptor.size;
      layers.push(layer);
    }
    await store.tag(await makeImage(store, { layers }), 'v1');
    references.push(`${proxy.host}/kill/${name}:v1`);
  }
  await client.close();
  await writeFile(join(folder, 'images.txt'), references.join('\n'));
});

afterAll(async () => {
  await proxy.stop();
  await registry.stop();
  await rm(folder, { recursive: true, force: true });
});

function startBuild(out: string): ChildProcess {
  return spawn(
    process.execPath,
    [
      ...['--import', 'tsx', main, 'build', join(folder, 'images.txt'), '--name', 'kill', '--out', out],
      ...['--plain-http', '--concurrency', String(concurrency), '--quiet'],
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
}

async function sha256OfBundle(out: string): Promise<string> {
  const names = await readdir(out, { recursive: true });
  const bundle = names.filter((name) => name.endsWith('.tar.zst'));
  expect(bundle).toHaveLength(1);
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(join(out, String(bundle[0])))) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** A fixed sequence (a linear congruential generator), so that a failure can be repeated. */
function* sequence(seed: number): Generator<number, never> {
  let state = seed;
  for (;;) {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    yield state / 2 ** 32;
  }
}

it('a build that is killed ten times ends in the same bytes and fetches less than a chunk per connection again', async () => {
  expect(blobBytes).toBeGreaterThan(300_000_000);
  const whole = join(folder, 'whole');
  expect((await once(startBuild(whole), 'exit'))[0]).toBe(0);
  const expected = await sha256OfBundle(whole);
  const once_ = proxy.blobBytes;
  expect(once_).toBeGreaterThanOrEqual(blobBytes);

  const out = join(folder, 'killed');
  const moments = sequence(20_261_122);
  for (let kill = 0; kill < kills; kill += 1) {
    const child = startBuild(out);
    // Random moments that share the work out, so that no run finishes before its kill.
    const until = proxy.blobBytes + moments.next().value * ((1.8 * blobBytes) / (kills + 2));
    const exited = once(child, 'exit');
    proxy.onBlobBytes = (bytes) => {
      if (bytes >= until) child.kill('SIGKILL');
    };
    expect((await exited)[1]).toBe('SIGKILL');
    proxy.onBlobBytes = undefined;
    expect((await readdir(out, { recursive: true })).filter((name) => name.endsWith('.tar.zst'))).toEqual([]);
  }
  expect((await once(startBuild(out), 'exit'))[0]).toBe(0);

  expect(await sha256OfBundle(out)).toBe(expected);
  const fetchedTwice = proxy.blobBytes - 2 * once_;
  expect(fetchedTwice).toBeLessThan((kills + 1) * concurrency * chunkBytes);
  console.info(`killed ${kills} times: ${fetchedTwice} of ${blobBytes} bytes were sent twice`);
}, 900_000);
