import { once } from 'node:events';
import { chmod, readdir, readFile, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';

import { describe, expect, it } from 'vitest';

import type { Descriptor } from '../../src/content/descriptor.ts';
import type { Digest } from '../../src/content/digest.ts';
import { readContent } from '../../src/content/verify.ts';
import { BlobCache } from '../../src/store/blob-cache.ts';
import { CacheFill } from '../../src/store/cache-fill.ts';
import { expectError } from '../support/expect-error.ts';
import { blob, type Content, noise, sha256 } from '../support/graphs.ts';
import { whyNoMount, withSmallDisk } from '../support/small-disk.ts';
import { describeStoreContract, type WritableStore } from '../support/store-contract.ts';
import { memoryFolder, temporaryFolder } from '../support/temporary-folder.ts';
import { WorkerProcess } from '../support/worker-process.ts';

describeStoreContract(
  'a blob cache',
  async () => ({ store: withNames(await BlobCache.open(await temporaryFolder())) }),
  {
    referrers: false,
  },
);

/** The suite resolves and tags too; a cache has no names. */
function withNames(cache: BlobCache): WritableStore {
  const names = new Map<string, Descriptor>();
  const ensureThere = async (target: Descriptor): Promise<void> => {
    await readContent(cache, target);
  };
  return {
    exists: (...call) => cache.exists(...call),
    fetch: (...call) => cache.fetch(...call),
    push: async (target, ...rest) => {
      await cache.push(target, ...rest);
      names.set(target.digest, target);
    },
    resolve: async (name) => {
      const found = names.get(name);
      if (found === undefined)
        return expectError('NOT_FOUND', '', () => cache.fetch(blob(name).descriptor)).then(raise);
      return found;
    },
    tag: async (target, name) => {
      await ensureThere(target);
      names.set(name, target);
    },
  };
}

function raise(error: Error): never {
  throw error;
}

async function keep(cache: BlobCache, ...contents: readonly Content[]): Promise<void> {
  for (const { descriptor, bytes } of contents) await cache.push(descriptor, Readable.from([bytes]));
}

function pathIn(folder: string, { descriptor }: Content): string {
  return join(folder, 'sha256', descriptor.digest.slice('sha256:'.length));
}

/** As if it had been used so many minutes ago. */
async function age(folder: string, content: Content, minutes: number): Promise<void> {
  const then = new Date(Date.now() - minutes * 60_000);
  await utimes(pathIn(folder, content), then, then);
}

async function digestsIn(cache: BlobCache): Promise<Digest[]> {
  return (await cache.entries()).map(({ digest }) => digest);
}

const blobs = (count: number, sizeBytes = 1000): readonly Content[] =>
  Array.from({ length: count }, (_, at) => blob(noise(sizeBytes, `blob ${at}`)));

describe('a blob cache', () => {
  it('keeps each blob in a file of its own, under its digest', async () => {
    const folder = await temporaryFolder();
    const [one] = blobs(1) as [Content];
    await keep(await BlobCache.open(folder), one);
    expect(sha256(await readFile(pathIn(folder, one)))).toBe(one.descriptor.digest);
    expect(await readdir(join(folder, 'ingest'))).toEqual([]);
  });

  it('has room for so much, and what was used longest ago goes first', async () => {
    const folder = await temporaryFolder();
    const [first, second, third, fourth] = blobs(4) as [Content, Content, Content, Content];
    const cache = await BlobCache.open(folder, { maxBytes: 3500 });
    await keep(cache, first, second, third);
    for (const [content, minutes] of [
      [first, 9],
      [second, 8],
      [third, 7],
    ] as const)
      await age(folder, content, minutes);
    // Reading it is using it.
    await readContent(cache, first.descriptor);
    await keep(cache, fourth);
    expect(new Set(await digestsIn(cache))).toEqual(
      new Set([first, third, fourth].map(({ descriptor }) => descriptor.digest)),
    );
  });

  it('does not take what is larger than all of its room, and removes nothing for it', async () => {
    const cache = await BlobCache.open(await temporaryFolder(), { maxBytes: 3500 });
    const [small] = blobs(1) as [Content];
    await keep(cache, small, blob(noise(3501, 'large')));
    expect(await digestsIn(cache)).toEqual([small.descriptor.digest]);
  });

  it('never has more than its room, in any order of sizes', async () => {
    const folder = await temporaryFolder();
    const cache = await BlobCache.open(folder, { maxBytes: 10_000 });
    for (let at = 0; at < 40; at += 1) {
      await keep(cache, blob(noise(300 + ((at * 1237) % 4000), `size ${at}`)));
      const names = await readdir(join(folder, 'sha256'));
      const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, 'sha256', name))).size));
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(10_000);
      expect(sizes.length).toBeGreaterThan(0);
    }
  });

  it('leaves the disk the space that is kept for something else', async () => {
    const cache = await BlobCache.open(await temporaryFolder());
    cache.keepFreeBytes = 2 ** 60;
    await keep(cache, ...blobs(1));
    expect(await cache.entries()).toEqual([]);
    cache.keepFreeBytes = 0;
    await keep(cache, ...blobs(1));
    expect(await cache.entries()).toHaveLength(1);
  });

  it('serves from a folder that it cannot write', async () => {
    const folder = await temporaryFolder();
    const [one] = blobs(1) as [Content];
    await keep(await BlobCache.open(folder), one);
    await chmod(join(folder, 'sha256'), 0o555);
    try {
      expect(sha256(await readContent(await BlobCache.open(folder), one.descriptor))).toBe(one.descriptor.digest);
    } finally {
      await chmod(join(folder, 'sha256'), 0o755);
    }
  });

  it('passes over files that are no blobs', async () => {
    const folder = await temporaryFolder();
    const cache = await BlobCache.open(folder);
    await keep(cache, ...blobs(1));
    await writeFile(join(folder, 'sha256', 'README'), 'x');
    await writeFile(join(folder, 'sha256', 'a'.repeat(63)), 'x');
    expect(await cache.entries()).toHaveLength(1);
    await cache.prune({ maxBytes: 0 });
    expect((await readdir(join(folder, 'sha256'))).sort()).toEqual(['README', 'a'.repeat(63)]);
  });

  it('does not take a digest for a path', async () => {
    const cache = await BlobCache.open(await temporaryFolder());
    const { descriptor } = blob('x');
    const evil = { ...descriptor, digest: 'sha256:../../../etc/passwd' as Digest };
    await expectError('CONTENT_INVALID', 'is not a digest', () => cache.exists(evil));
    await expectError('CONTENT_INVALID', 'is not a digest', () => cache.remove(evil.digest));
  });
});

describe('what fills a blob cache while it passes', () => {
  it('lets go of its source where nobody reads it', async () => {
    const { descriptor, bytes } = blob(noise(1000, 'unread'));
    const content = Readable.from([bytes]);
    const fill = new CacheFill(
      await BlobCache.open(await temporaryFolder()),
      { fetch: () => Promise.resolve(content) },
      descriptor,
      () => undefined,
    );
    const closed = once(content, 'close');
    (await fill.fetch(descriptor)).destroy();
    await closed;
    await fill.close();
  });
});

describe('a blob cache that is pruned', () => {
  it('loses what was not used for so long', async () => {
    const folder = await temporaryFolder();
    const cache = await BlobCache.open(folder);
    const [old, young] = blobs(2) as [Content, Content];
    await keep(cache, old, young);
    await age(folder, old, 61);
    await age(folder, young, 59);
    const removed = await cache.prune({ olderThanMs: 3_600_000 });
    expect(removed).toMatchObject([{ digest: old.descriptor.digest, bytes: 1000 }]);
    expect(await digestsIn(cache)).toEqual([young.descriptor.digest]);
  });

  it('keeps as much as may stay', async () => {
    const folder = await temporaryFolder();
    const cache = await BlobCache.open(folder);
    const all = blobs(5);
    await keep(cache, ...all);
    for (const [at, content] of all.entries()) await age(folder, content, 10 - at);
    expect(await cache.prune({ maxBytes: 2500 })).toHaveLength(3);
    expect(await digestsIn(cache)).toEqual(all.slice(3).map(({ descriptor }) => descriptor.digest));
    expect(await cache.prune({ maxBytes: 2500 })).toEqual([]);
  });
});

describe('a blob cache that is verified', () => {
  it('loses what is damaged, and nothing else', async () => {
    const folder = await temporaryFolder();
    const cache = await BlobCache.open(folder);
    const [sound, flipped, cut] = blobs(3) as [Content, Content, Content];
    await keep(cache, sound, flipped, cut);
    const changed = Buffer.from(flipped.bytes);
    changed[500] = (changed[500] ?? 0) ^ 1;
    await writeFile(pathIn(folder, flipped), changed);
    await truncate(pathIn(folder, cut), 999);
    let bytes = 0;
    const damaged = await cache.verify({ onProgress: (more) => (bytes += more) });
    expect(new Set(damaged.map(({ digest }) => digest))).toEqual(
      new Set([flipped.descriptor.digest, cut.descriptor.digest]),
    );
    expect(bytes).toBe(2999);
    expect(await digestsIn(cache)).toEqual([sound.descriptor.digest]);
    expect(await cache.verify()).toEqual([]);
  });

  it('does not have what was cut short', async () => {
    const folder = await temporaryFolder();
    const cache = await BlobCache.open(folder);
    const [cut] = blobs(1) as [Content];
    await keep(cache, cut);
    await truncate(pathIn(folder, cut), 999);
    expect(await cache.exists(cut.descriptor)).toBe(false);
    await keep(cache, cut);
    expect(sha256(await readContent(cache, cut.descriptor))).toBe(cut.descriptor.digest);
  });
});

describe.skipIf(whyNoMount !== undefined)('a blob cache on a full disk', () => {
  it('makes room with what it has, and fails for nothing', async () => {
    await withSmallDisk(1_000_000, async (disk) => {
      const folder = join(disk, 'cache');
      const cache = await BlobCache.open(folder);
      for (const content of blobs(10, 300_000)) await keep(cache, content);
      const left = await cache.entries();
      expect(left.length).toBeGreaterThanOrEqual(1);
      expect(left.length).toBeLessThanOrEqual(3);
      expect(await cache.verify()).toEqual([]);
    });
  });

  it('says NO_SPACE where others have filled the disk meanwhile, and leaves nothing behind', async () => {
    await withSmallDisk(1_000_000, async (disk) => {
      const folder = join(disk, 'cache');
      const cache = await BlobCache.open(folder);
      const { descriptor, bytes } = blob(noise(600_000, 'no space'));
      const file = await cache.begin(descriptor);
      await writeFile(join(disk, 'other'), Buffer.alloc(700_000));
      await expectError('NO_SPACE', 'cannot write', () => file?.write([bytes]));
      await file?.close();
      expect(await readdir(join(folder, 'ingest'))).toEqual([]);
      expect(await cache.exists(descriptor)).toBe(false);
    });
  });
});

describe('a blob cache that several processes use', () => {
  it.each([
    ['with room for all', 100_000_000],
    ['that evict what the others have just kept', 200_000],
  ])('has nothing damaged, %s', async (_name, maxBytes) => {
    const folder = join(await memoryFolder(), 'cache');
    const [rounds, names] = [30, ['one', 'two', 'three']];
    const workers = names.map(
      (name) => new WorkerProcess('cache-worker.ts', [folder, name, String(rounds), String(maxBytes)]),
    );
    await Promise.all(workers.map((worker) => worker.end()));
    const cache = await BlobCache.open(folder);
    const entries = await cache.entries();
    expect(await cache.verify()).toEqual([]);
    expect(await readdir(join(folder, 'ingest'))).toEqual([]);
    if (maxBytes > 10_000_000) expect(entries).toHaveLength((names.length + 1) * rounds);
    // What the others have on their way, a process does not see.
    else expect(entries.length * 20_000).toBeLessThanOrEqual(maxBytes + (names.length - 1) * 20_000);
  });

  it('shows nothing of what a killed process had half, and the next one removes it', async () => {
    const folder = await temporaryFolder();
    const sizeBytes = 400_000;
    const { descriptor } = blob(noise(sizeBytes, 'hanging'));
    const worker = new WorkerProcess('hanging-cache-worker.ts', [folder, String(sizeBytes)]);
    expect(await worker.message()).toBe('half of it');
    const meanwhile = await BlobCache.open(folder);
    expect(await readdir(join(folder, 'ingest')), 'what a living process writes stays').toHaveLength(2);
    await worker.kill();
    expect(await meanwhile.exists(descriptor)).toBe(false);
    expect(await meanwhile.entries()).toEqual([]);
    await BlobCache.open(folder);
    expect(await readdir(join(folder, 'ingest'))).toEqual([]);
  });
});
