import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Descriptor } from '../../src/content/descriptor.ts';
import { ContentVerifier } from '../../src/content/verify.ts';
import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { formatTable } from '../../src/report/table.ts';
import { formatBytes, formatDuration } from '../../src/report/units.ts';
import { makeImage } from '../../test/support/images.ts';
import { makeLayer, tarOf } from '../../test/support/layers.ts';
import { startRegistryProxy } from '../../test/support/registry-proxy.ts';
import { Processes } from '../support/processes.ts';
import { startDockerRegistry } from './docker-registry.ts';
import { commandLine } from './workload.ts';

/** A source that is slow for each connection, as many mirrors and object stores are. */
const bytesPerSecond = 5_000_000;
const latencyMs = 80;
const layerBytes = 200_000_000;
const fastRounds = 5;

const processes = new Processes();

/** One image whose one layer dominates: from the slow source against skopeo, and from a fast one against one connection. */
async function main(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'edge-bundle-slow-'));
  try {
    const registry = await startDockerRegistry(processes, join(folder, 'registry'));
    const { address } = registry;
    const layer = await pushImage(address);

    const slow = await startRegistryProxy(address, { bytesPerSecond, latencyMs });
    const list = join(folder, 'images.txt');
    await writeFile(list, `${slow.host}/app:1\n`);
    await mkdir(join(folder, 'skopeo'));
    const skopeoMs = await timed(() =>
      processes.run('skopeo', [
        ...['copy', '--quiet', '--src-tls-verify=false', `docker://${slow.host}/app:1`, `oci:${folder}/skopeo/app:1`],
      ]),
    );
    const sentToSkopeo = slow.blobBytes;
    const buildMs = await timed(() =>
      processes.run(process.execPath, [
        ...[commandLine, 'build', list, '--name', 'slow', '--out', join(folder, 'out'), '--plain-http', '--quiet'],
      ]),
    );
    const sentTwice = slow.blobBytes - 2 * sentToSkopeo;
    await slow.stop();

    const rates = { parallel: [] as number[], single: [] as number[] };
    for (let round = 0; round <= fastRounds; round += 1) {
      const single = await fetchRate(address, layer, Infinity);
      const parallel = await fetchRate(address, layer, undefined);
      // The first round warms up.
      if (round === 0) continue;
      rates.single.push(single);
      rates.parallel.push(parallel);
    }
    const ratio = Math.max(...rates.parallel) / Math.max(...rates.single);
    console.error(
      formatTable(
        ['figure', 'measured', 'wanted'],
        [
          ['skopeo copy, 5 MB/s a connection, 80 ms', formatDuration(skopeoMs), ''],
          ['edge-bundle build', formatDuration(buildMs), ''],
          ['times as fast', (skopeoMs / buildMs).toFixed(2), 'at least 3'],
          ['bytes sent twice', formatBytes(Math.max(0, sentTwice)), ''],
          ['fast source: rate / that of one connection', ratio.toFixed(2), 'at least 0.95'],
        ],
      ),
    );
    const report = { skopeoMs, buildMs, speedup: skopeoMs / buildMs, sentTwice, fast: { ...rates, ratio } };
    process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
    if (skopeoMs / buildMs < 3 || ratio < 0.95) process.exitCode = 1;
  } finally {
    await processes.endAll();
    await rm(folder, { recursive: true, force: true });
  }
}

async function pushImage(address: string): Promise<Descriptor> {
  const client = new RegistryClient({ plainHttp: 'all' });
  const store = client.repository(address, 'app');
  const layers = [];
  for (const bytes of [layerBytes, 1_000_000, 100_000]) {
    layers.push(await makeLayer(store, tarOf([{ path: 'data', content: randomBytes(bytes) }]), { level: 1 }));
  }
  await store.tag(await makeImage(store, { layers }), '1');
  await client.close();
  const [largest] = layers;
  if (largest === undefined) throw new Error('there are no layers');
  return largest.descriptor;
}

/** In bytes a second, of one blob that is fetched and verified, and goes nowhere. */
async function fetchRate(address: string, blob: Descriptor, parallelOverBytes: number | undefined): Promise<number> {
  const client = new RegistryClient({ plainHttp: 'all', parallelOverBytes });
  const elapsedMs = await timed(async () => {
    const verifier = new ContentVerifier(blob);
    for await (const chunk of await client.repository(address, 'app').fetch(blob)) verifier.update(chunk as Buffer);
    verifier.finish();
  });
  await client.close();
  return (blob.size * 1000) / elapsedMs;
}

async function timed(task: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await task();
  return performance.now() - started;
}

await main();
