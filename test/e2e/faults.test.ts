import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { buildBundle } from '../../src/build/build-bundle.ts';
import type { WantedImage } from '../../src/build/wanted-content.ts';
import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { blobFaults, type FaultPlan, giveTokens, seeded } from '../support/fault-plan.ts';
import { makeImage } from '../support/images.ts';
import { makeLayer, tarOf } from '../support/layers.ts';
import { type ProxiedAnswer, type RegistryProxy, startRegistryProxy } from '../support/registry-proxy.ts';

/** `npm run soak` sets these: a build of 300 MB, 200 rounds. */
const totalBytes = Number(process.env.FAULT_BYTES ?? 20_000_000);
const rounds = Number(process.env.FAULT_ROUNDS ?? 6);
const firstSeed = Number(process.env.FAULT_SEED ?? 1);

const layerCount = 8;
const layerBytes = Math.floor(totalBytes / layerCount);
/** What two sockets' buffers hold, and a few chunks: may be lost with each connection that breaks. */
const inFlightBytes = 8 * 1024 * 1024;
const timeoutMs = 240_000 + totalBytes / 1_000;

let registry: DockerRegistry;
let proxy: RegistryProxy;
/** Another way to the same registry. */
let elsewhere: RegistryProxy;
let folder: string;
let images: WantedImage[];
let expected: string;
let faultless: number;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edge-bundle-faults-'));
  registry = await startDockerRegistry();
  proxy = await startRegistryProxy(registry.host);
  elsewhere = await startRegistryProxy(registry.host, { fault: giveTokens() });
  const client = new RegistryClient({ plainHttp: 'all' });
  images = [];
  for (const name of ['a', 'b']) {
    const store = client.repository(registry.host, `faults/${name}`);
    const layers = [];
    for (let number = 0; number < layerCount / 2; number += 1) {
      const tar = tarOf([{ path: 'data', content: randomBytes(layerBytes) }]);
      // The last one is compressed by the build: that one goes on at a frame.
      layers.push(await makeLayer(store, tar, number === 3 ? { compression: 'none' } : { level: 1 }));
    }
    await store.tag(await makeImage(store, { layers }), 'v1');
    images.push({ reference: `${proxy.host}/faults/${name}:v1`, sources: [] });
  }
  await client.close();
  const before = sentBytes();
  expected = await build('faultless', 60_000);
  faultless = sentBytes() - before;
}, 240_000);

afterAll(async () => {
  await proxy.stop();
  await elsewhere.stop();
  await registry.stop();
  await rm(folder, { recursive: true, force: true });
});

/**
 * Builds, and gives the digest of the bundle, which is removed.
 *
 * @param pauseMs what the registry may be silent for, until it is asked again
 */
async function build(name: string, pauseMs = 1_000): Promise<string> {
  const client = new RegistryClient({
    plainHttp: 'all',
    retries: 12,
    retryBaseMs: 5,
    retryMaxMs: 100,
    headersTimeoutMs: pauseMs,
    bodyTimeoutMs: pauseMs,
  });
  const out = join(folder, name.replace(/\W/g, '-'));
  try {
    const { bundle } = await buildBundle({ name: 'faults', images, profiles: [], source: client, out });
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(bundle.path)) hash.update(chunk as Buffer);
    return hash.digest('hex');
  } finally {
    await client.close();
    await rm(out, { recursive: true, force: true });
  }
}

async function buildUnder(plans: readonly FaultPlan[], name: string, seed: number, pauseMs?: number): Promise<void> {
  const random = seeded(seed);
  let number = 0;
  proxy.fault = (request) => {
    if (request.method !== 'GET' || !request.path.includes('/blobs/')) return undefined;
    const plan = plans[Math.floor(random() * plans.length)];
    number += 1;
    return plan?.fault(request, number, random);
  };
  try {
    expect(await build(name, pauseMs), name).toBe(expected);
  } finally {
    proxy.fault = undefined;
  }
}

function sentBytes(): number {
  return proxy.blobBytes + elsewhere.blobBytes;
}

/** Each blob's answers, in the order in which they were asked for: which bytes each of them sent. */
function answersByBlob(answers: readonly ProxiedAnswer[]): Map<string, { start: number; end: number }[]> {
  const byBlob = new Map<string, { start: number; end: number }[]>();
  for (const { path, headers, status, bytes } of answers) {
    const digest = /\/blobs\/(sha256:[0-9a-f]+)/.exec(path)?.[1];
    if (digest === undefined || (status !== 200 && status !== 206)) continue;
    const range = /^bytes=(\d+)-/.exec(String(headers.range ?? ''))?.[1];
    const start = status === 206 ? Number(range) : 0;
    byBlob.set(digest, [...(byBlob.get(digest) ?? []), { start, end: start + bytes }]);
  }
  return byBlob;
}

describe('a build from a registry that fails', () => {
  const names = blobFaults(1, '').map(({ name }) => name);

  it.each(names.map((name, number) => [name, number] as const))(
    'by %s ends in the same bytes',
    async (name, number) => {
      const plan = blobFaults(layerBytes, elsewhere.host)[number];
      if (plan === undefined) throw new Error(`there is no fault '${name}'`);
      await buildUnder([plan], name, firstSeed + number);
    },
    timeoutMs,
  );

  it(
    'by breaking off again and again is asked for no byte again that has come',
    async () => {
      const [cut] = blobFaults(layerBytes, elsewhere.host);
      if (cut === undefined) throw new Error('there are no faults');
      const seen = proxy.answers.length;
      // What a busy machine is late with is not asked for again here.
      await buildUnder([cut], 'cut, counted', firstSeed, 60_000);
      const blobs = answersByBlob(proxy.answers.slice(seen));
      expect([...blobs.values()].some((answers) => answers.length > 1)).toBe(true);
      for (const [digest, answers] of blobs) {
        for (const [index, { start }] of answers.entries()) {
          const before = answers[index - 1];
          if (before === undefined) continue;
          expect(start, `${digest} begins again`).toBeGreaterThan(0);
          expect(start, `${digest} goes on where it stopped`).toBeLessThanOrEqual(before.end);
          expect(before.end - start, `${digest} was in flight`).toBeLessThan(inFlightBytes);
        }
      }
      const sent = [...blobs.values()].flat().reduce((sum, { start, end }) => sum + (end - start), 0);
      const answers = [...blobs.values()].flat().length;
      expect(sent - faultless).toBeLessThan((answers - blobs.size) * 300_000);
    },
    timeoutMs,
  );

  it.each(Array.from({ length: rounds }, (_, round) => firstSeed + round))(
    'by everything at random, with seed %i, ends in the same bytes',
    async (seed) => {
      const plans = blobFaults(layerBytes, elsewhere.host);
      await buildUnder([...plans, { name: 'none', fault: () => undefined }], `seed ${seed}`, seed);
    },
    timeoutMs,
  );
});
