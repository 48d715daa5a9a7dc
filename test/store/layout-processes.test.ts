import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';

import { describe, expect, it } from 'vitest';

import { readContent } from '../../src/content/verify.ts';
import { LayoutStore } from '../../src/store/layout-store.ts';
import { blob, contentsOf, image, noise, sha256 } from '../support/graphs.ts';
import { memoryFolder, temporaryFolder } from '../support/temporary-folder.ts';
import { WorkerProcess } from '../support/worker-process.ts';

const rounds = 50;

describe('an image layout that several processes write', () => {
  it('loses no content, no tag and no referrer', async () => {
    const folder = join(await memoryFolder(), 'layout');
    const names = ['one', 'two'];
    const workers = names.map((name) => new WorkerProcess('layout-worker.ts', [folder, name, String(rounds)]));
    await Promise.all(workers.map((worker) => worker.end()));

    const store = await LayoutStore.open(folder);
    const numbers = Array.from({ length: rounds }, (_, round) => round);
    const expected = [...names, 'latest'].flatMap((name) => numbers.map((round) => `${name}-${round}`));
    expect(new Set(await store.tags())).toEqual(new Set(expected));
    for (const name of names) {
      for (const round of numbers) {
        const common = blob(noise(20_000, `common ${round}`), 'application/vnd.oci.image.layer.v1.tar');
        const own = blob(noise(3_000, `${name} ${round}`), 'application/vnd.oci.image.layer.v1.tar');
        const root = image([common, own]);
        expect((await store.resolve(`${name}-${round}`)).digest).toBe(root.descriptor.digest);
        for (const { descriptor } of contentsOf(root)) {
          expect(sha256(await readContent(store, descriptor))).toBe(descriptor.digest);
        }
      }
    }
    const first = await store.resolve('two-0');
    expect((await store.referrers(first)).map(({ artifactType }) => artifactType)).toEqual([
      'application/vnd.example.note',
    ]);
    const index = JSON.parse(await readFile(join(folder, 'index.json'), 'utf8')) as { manifests: unknown[] };
    expect(index.manifests).toHaveLength(expected.length + names.length * rounds);
    expect(await readdir(folder)).toEqual(['blobs', 'index.json', 'ingest', 'oci-layout']);
    expect(await readdir(join(folder, 'ingest'))).toEqual([]);
  });

  it('shows nothing of a push that was killed, and takes it again', async () => {
    const folder = await temporaryFolder();
    const sizeBytes = 400_000;
    const { descriptor, bytes } = blob(noise(sizeBytes, 'hanging'));
    const worker = new WorkerProcess('hanging-push-worker.ts', [folder, String(sizeBytes)]);
    expect(await worker.message()).toBe('half of it');

    const meanwhile = await LayoutStore.open(folder);
    expect(await readdir(join(folder, 'ingest')), 'another process does not clean up after a living one').toHaveLength(
      2,
    );
    await worker.kill();
    expect(await meanwhile.exists(descriptor)).toBe(false);
    expect(await readdir(join(folder, 'ingest'))).toHaveLength(2);

    const next = await LayoutStore.open(folder);
    expect(await readdir(join(folder, 'ingest'))).toEqual([]);
    await next.push(descriptor, Readable.from([bytes]));
    const stored = await readFile(join(folder, 'blobs', 'sha256', descriptor.digest.slice('sha256:'.length)));
    expect(sha256(stored)).toBe(descriptor.digest);
  });
});
