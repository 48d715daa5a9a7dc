import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { buildBundle, type BuildOptions, type BuildResult } from '../../src/build/build-bundle.ts';
import { BundleReader } from '../../src/bundle/bundle-reader.ts';
import { verifyBundle } from '../../src/bundle/verify-bundle.ts';
import { mediaTypes } from '../../src/content/media-types.ts';
import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { BlobCache } from '../../src/store/blob-cache.ts';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { expectError } from '../support/expect-error.ts';
import { blob, type Content, contentsOf, image, noise, pushAll, sha256 } from '../support/graphs.ts';
import { type RegistryProxy, startRegistryProxy } from '../support/registry-proxy.ts';
import { whyNoMount, withSmallDisk } from '../support/small-disk.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const stored = (seed: string, sizeBytes = 2_000_000): Content => blob(noise(sizeBytes, seed), mediaTypes.ociLayerGzip);
const shared = stored('shared');
const plain = blob(Buffer.from(randomBytes(600_000).toString('hex')), mediaTypes.ociLayer);
const first = image([shared, stored('first'), plain]);
const second = image([shared, stored('second')]);
const layerBytes = [...first.children.slice(1), second.children[2]].reduce(
  (sum, layer) => sum + (layer?.descriptor.size ?? 0),
  0,
);

let registry: DockerRegistry;
let proxy: RegistryProxy;
let client: RegistryClient;
let out: string;
let warnings: string[];

beforeAll(async () => {
  registry = await startDockerRegistry();
  proxy = await startRegistryProxy(registry.host);
  client = new RegistryClient({ plainHttp: 'all', retries: 0 });
  for (const [name, content] of [
    ['app/first', first],
    ['app/second', second],
  ] as const) {
    const repository = client.repository(registry.host, name);
    await pushAll(repository, content);
    await repository.tag(content.descriptor, 'v1');
  }
});
beforeEach(async () => {
  out = await temporaryFolder();
  warnings = [];
});
afterEach(() => {
  proxy.fault = undefined;
});
afterAll(async () => {
  await client.close();
  await proxy.stop();
  await registry.stop();
});

function build(names: readonly string[], options: Partial<BuildOptions> = {}): Promise<BuildResult> {
  return buildBundle({
    name: 'test',
    images: names.map((name) => ({ reference: `${proxy.host}/${name}`, sources: [] })),
    profiles: [],
    source: client,
    out,
    onEvent: (event) => {
      if (event.type === 'warning') warnings.push(event.text);
    },
    ...options,
  });
}

const both = ['app/first:v1', 'app/second:v1'];

async function fileDigest(path: string): Promise<string> {
  return sha256(await readFile(path));
}

/** Without an earlier run, cache or bundle: what all others have to be equal to. */
async function fresh(): Promise<string> {
  return fileDigest((await build(both, { out: await temporaryFolder() })).bundle.path);
}

/** What is asked for with GET, of manifests and blobs, while `task` runs. */
async function getsOf(task: () => Promise<unknown>): Promise<string[]> {
  const from = proxy.answers.length;
  await task();
  return proxy.answers
    .slice(from)
    .filter(({ method, path }) => method === 'GET' && /\/(manifests|blobs)\//.test(path))
    .map(({ path }) => path.replace(/.*\//, ''));
}

async function flip(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, at);
    await file.write(Buffer.from([(byte[0] ?? 0) ^ 1]), 0, 1, at);
  } finally {
    await file.close();
  }
}

function cachedPath(folder: string, { descriptor }: Content): string {
  return join(folder, 'sha256', descriptor.digest.slice('sha256:'.length));
}

describe('a build with a cache', () => {
  it('keeps what it downloads, and the next build downloads nothing', async () => {
    const folder = await temporaryFolder();
    const one = await build(both, { cache: await BlobCache.open(folder) });
    const configs = [first, second].map(({ children }) => children[0]?.descriptor.size ?? 0);
    const blobBytes = layerBytes + configs.reduce((sum, size) => sum + size, 0);
    expect(one.bytes).toMatchObject({ downloaded: blobBytes, reused: { bundles: 0, cache: 0 } });
    const cached = await readdir(join(folder, 'sha256'));
    expect(cached.sort()).toEqual(
      contentsOf(first, second)
        .map(({ descriptor }) => descriptor.digest.slice(7))
        .sort(),
    );
    expect(await readdir(join(folder, 'ingest'))).toEqual([]);

    let two: BuildResult | undefined;
    const gets = await getsOf(async () => {
      two = await build(both, { cache: await BlobCache.open(folder), out: await temporaryFolder() });
    });
    expect(gets).toEqual([]);
    expect(two?.bytes).toMatchObject({ downloaded: 0, reused: { bundles: 0, cache: blobBytes } });
    expect(await fileDigest(two?.bundle.path ?? '')).toBe(await fileDigest(one.bundle.path));
    expect(warnings).toEqual([]);
  });

  it('fetches again what is damaged in it, and keeps that', async () => {
    const folder = await temporaryFolder();
    await build(both, { cache: await BlobCache.open(folder) });
    await flip(cachedPath(folder, shared), 1_234_567);
    await flip(cachedPath(folder, plain), 0);
    await flip(cachedPath(folder, first), 0);
    await writeFile(cachedPath(folder, second), 'x');
    let result: BuildResult | undefined;
    const gets = await getsOf(async () => {
      result = await build(both, { cache: await BlobCache.open(folder), out: await temporaryFolder() });
    });
    expect(new Set(gets)).toEqual(new Set([shared, plain, first, second].map(({ descriptor }) => descriptor.digest)));
    expect(gets).toHaveLength(4);
    expect(await fileDigest(result?.bundle.path ?? '')).toBe(await fresh());
    expect(warnings).toHaveLength(3);
    expect(warnings.join()).toContain(shared.descriptor.digest);
    expect(await (await BlobCache.open(folder)).verify()).toEqual([]);
    expect(await readdir(join(folder, 'sha256'))).toHaveLength(contentsOf(first, second).length);
  });

  it('keeps nothing of a download that broke off, and all of it when it went on', async () => {
    const folder = await temporaryFolder();
    proxy.fault = ({ path }) =>
      path.endsWith(shared.descriptor.digest) ? { kind: 'truncate', afterBytes: 1_500_000 } : undefined;
    await expectError('TRANSFER_INCOMPLETE', '', async () => build(both, { cache: await BlobCache.open(folder) }));
    const cache = await BlobCache.open(folder);
    expect(await cache.exists(shared.descriptor)).toBe(false);
    expect(await readdir(join(folder, 'ingest'))).toEqual([]);
    proxy.fault = undefined;
    const before = proxy.blobBytes;
    const result = await build(both, { cache });
    // The second run goes on in the middle; what it did not see is read from the bundle.
    expect(proxy.blobBytes - before).toBeLessThan(shared.descriptor.size);
    expect(await cache.exists(shared.descriptor)).toBe(true);
    expect(await cache.verify()).toEqual([]);
    expect(await fileDigest(result.bundle.path)).toBe(await fresh());
  });

  it('keeps nothing that the registry sent wrong', async () => {
    const cache = await BlobCache.open(await temporaryFolder());
    proxy.fault = ({ path }) => (path.endsWith(shared.descriptor.digest) ? { kind: 'corrupt', atByte: 7 } : undefined);
    await expectError('DIGEST_MISMATCH', '', () => build(both, { cache }));
    expect(await cache.exists(shared.descriptor)).toBe(false);
    expect(await cache.verify()).toEqual([]);
  });

  it('shares it with builds that run at the same time', async () => {
    const folder = await temporaryFolder();
    const builds = await Promise.all(
      [1, 2, 3].map(async () => build(both, { cache: await BlobCache.open(folder), out: await temporaryFolder() })),
    );
    const digest = await fresh();
    for (const { bundle } of builds) expect(await fileDigest(bundle.path)).toBe(digest);
    const cache = await BlobCache.open(folder);
    expect(await cache.verify()).toEqual([]);
    expect(await cache.entries()).toHaveLength(contentsOf(first, second).length);
  });

  it('writes nothing to the disk beside the bundle without one', async () => {
    await build(both);
    expect(await readdir(out)).toHaveLength(1);
  });

  describe.skipIf(whyNoMount !== undefined)('on a disk of its own that is full', () => {
    it('keeps what there is room for, and ends well', async () => {
      await withSmallDisk(3_000_000, async (disk) => {
        const cache = await BlobCache.open(join(disk, 'cache'));
        const result = await build(both, { cache });
        expect(await fileDigest(result.bundle.path)).toBe(await fresh());
        expect((await cache.entries()).length).toBeGreaterThan(0);
        expect(await cache.verify()).toEqual([]);
      });
    });

    it('goes on without the cache, and warns once, where something else fills the disk meanwhile', async () => {
      await withSmallDisk(9_000_000, async (disk) => {
        const cache = await BlobCache.open(join(disk, 'cache'));
        const result = await build(both, {
          cache,
          onEvent: (event) => {
            if (event.type === 'warning') warnings.push(event.text);
            if (event.type !== 'planned') return;
            // More than there is: dd fills it to the last byte, and fails.
            try {
              execFileSync('dd', ['if=/dev/zero', `of=${join(disk, 'other')}`, 'bs=4096'], { stdio: 'pipe' });
            } catch {
              // As expected.
            }
            // As if the check had been before that.
            cache.keepFreeBytes = -9_000_000;
          },
        });
        expect(await fileDigest(result.bundle.path)).toBe(await fresh());
        expect(warnings).toEqual([expect.stringContaining('without the cache')]);
      });
    });
  });

  it.skipIf(whyNoMount !== undefined)(
    'leaves the bundle the room that it needs on a disk that both share',
    async () => {
      const needed = (await stat((await build(both)).bundle.path)).size;
      await withSmallDisk(needed + 1_500_000, async (disk) => {
        const cache = await BlobCache.open(join(disk, 'cache'));
        const result = await build(both, { cache, out: join(disk, 'out') });
        expect(await fileDigest(result.bundle.path)).toBe(await fresh());
      });
    },
  );
});

describe('a build with existing bundles', () => {
  async function existing(...names: string[]): Promise<{ readonly reader: BundleReader; readonly path: string }> {
    const { bundle } = await build(names, { name: 'earlier', out: await temporaryFolder() });
    return { reader: await BundleReader.open(bundle.path), path: bundle.path };
  }

  it('takes what they have from them, and downloads the rest', async () => {
    const { reader } = await existing('app/first:v1');
    let result: BuildResult | undefined;
    const gets = await getsOf(async () => {
      result = await build(both, { existing: [reader] });
    });
    const rest = contentsOf(second).filter(({ descriptor }) => descriptor.digest !== shared.descriptor.digest);
    expect(new Set(gets)).toEqual(new Set(rest.map(({ descriptor }) => descriptor.digest)));
    const restBytes = rest.slice(0, -1).reduce((sum, { descriptor }) => sum + descriptor.size, 0);
    const firstBytes = first.children.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
    expect(result?.bytes).toMatchObject({ downloaded: restBytes, reused: { bundles: firstBytes, cache: 0 } });
    expect(await fileDigest(result?.bundle.path ?? '')).toBe(await fresh());
    await reader.close();
  });

  it('takes from several, before the cache, and needs no registry for what is pinned', async () => {
    const bundles = [await existing('app/first:v1'), await existing('app/second:v1')];
    const cache = await BlobCache.open(await temporaryFolder());
    const gets = await getsOf(() => build(both, { existing: bundles.map(({ reader }) => reader), cache }));
    expect(gets).toEqual([]);
    expect(await cache.entries()).toEqual([]);
    for (const { reader } of bundles) await reader.close();
  });

  it.each([
    ['stored', shared],
    ['compressed', plain],
  ])('fetches a %s blob that is damaged in them, and warns', async (_kind, damaged) => {
    const { reader, path } = await existing(...both);
    const bytes = await readFile(path);
    // Of a stored blob its bytes are in the file as they are; of the compressed one, which comes last, some frame is hit.
    const at = damaged === shared ? bytes.indexOf(shared.bytes.subarray(0, 64)) : bytes.byteLength - 300_000;
    expect(at).toBeGreaterThan(0);
    await flip(path, at + 5);
    const verification = await verifyBundle(reader);
    expect(verification.failures.length).toBeGreaterThan(0);
    let result: BuildResult | undefined;
    const gets = await getsOf(async () => {
      result = await build(both, { existing: [reader] });
    });
    expect(gets).toEqual([damaged.descriptor.digest]);
    expect(warnings).toEqual([expect.stringContaining(damaged.descriptor.digest)]);
    expect(warnings[0]).toContain(path);
    expect(await fileDigest(result?.bundle.path ?? '')).toBe(await fresh());
    await reader.close();
  });
});
