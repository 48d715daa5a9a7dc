import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { BundleReader } from '../../src/bundle/bundle-reader.ts';
import { BundleContent } from '../../src/serve/bundle-content.ts';
import { everyKind, type PlannedBundle, writeBundle } from '../support/bundles.ts';
import { sha256 } from '../support/graphs.ts';
import { memoryFolder } from '../support/temporary-folder.ts';
import { serve, type Served } from './served.ts';

let folder: string;
let planned: PlannedBundle;
let path: string;
let reader: BundleReader;
let served: Served;

beforeAll(async () => {
  folder = await memoryFolder();
  planned = await everyKind();
  path = await writeBundle(folder, planned);
  reader = await BundleReader.open(path);
  served = await serve(new BundleContent(reader));
});
afterAll(async () => {
  await served.close();
  await reader.close();
});

const repository = '/v2/docker.io/library/both';

function pathOf(content: PlannedBundle['contents'][number]): string {
  const { mediaType, digest } = content.descriptor;
  return `${repository}/${/manifest|index/.test(mediaType) ? 'manifests' : 'blobs'}/${digest}`;
}

async function pull(base: string, at: string, init: RequestInit = {}): Promise<Buffer> {
  const response = await fetch(base + at, init);
  if (!response.ok) throw new Error(`${at}: ${response.status}`);
  return Buffer.from(await response.arrayBuffer());
}

describe('a bundle file that is served', () => {
  it('gives all that it carries, stored and compressed, many at once', async () => {
    await Promise.all(
      planned.contents.map(async (content) => {
        expect(sha256(await pull(served.url, pathOf(content)))).toBe(content.descriptor.digest);
      }),
    );
    expect(served.errors).toEqual([]);
  });

  it('gives any part of a blob', async () => {
    for (const content of planned.contents) {
      const { size, mediaType } = content.descriptor;
      if (/manifest|index/.test(mediaType) || size < 3) continue;
      for (const [start, end] of [
        [0, 1],
        [Math.floor(size / 3), Math.floor(size / 2) + 1],
        [size - 1, size],
      ] as const) {
        const part = await pull(served.url, pathOf(content), { headers: { range: `bytes=${start}-${end - 1}` } });
        expect(part.equals(content.bytes.subarray(start, end))).toBe(true);
      }
    }
  });

  it('that is damaged ends no process, reports what cannot be read, and still gives the rest', async () => {
    const damagedPath = join(folder, 'damaged.tar.zst');
    const bytes = await readFile(path);
    // In the middle: layers.
    bytes.fill(0xff, Math.floor(bytes.byteLength / 2), Math.floor(bytes.byteLength / 2) + 300_000);
    await writeFile(damagedPath, bytes);
    const damaged = await BundleReader.open(damagedPath);
    const server = await serve(new BundleContent(damaged));
    try {
      const results = await Promise.allSettled(
        planned.contents.map(
          async (content) => sha256(await pull(server.url, pathOf(content))) === content.descriptor.digest,
        ),
      );
      const isIntact = results.map((result) => result.status === 'fulfilled' && result.value);
      expect(isIntact).toContain(false);
      expect(isIntact.filter(Boolean).length).toBeGreaterThan(planned.contents.length / 2);
      const failed = results.filter(({ status }) => status === 'rejected').length;
      await expect.poll(() => server.errors.length).toBe(failed);
    } finally {
      await server.close();
      await damaged.close();
    }
  });
});
