import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import type { Descriptor } from '../../src/content/descriptor.ts';
import type { Fetcher, FetchOptions } from '../../src/content/store.ts';
import { abortedError, EdgeBundleError } from '../../src/errors.ts';
import { Copier } from '../../src/copy/copier.ts';
import { LayoutStore } from '../../src/store/layout-store.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { blob, type Content, contentsOf, image, index, noise, pushAll } from '../support/graphs.ts';
import { expectCode } from '../support/store-contract.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { Gauge, RecordingStore } from './recording-store.ts';

const bad = blob(noise(200_000, 'bad'));
const good = blob(noise(100_000, 'good'));
const root = index([image([good, bad]), image([good])]);

/** A source of `root` that gives something else for one of its blobs. */
async function sourceWith(
  content: Content,
  give: (options: FetchOptions) => Promise<Readable> | Readable,
): Promise<Fetcher> {
  const store = new MemoryStore();
  await pushAll(store, root);
  return {
    fetch: async (target: Descriptor, options: FetchOptions = {}) =>
      target.digest === content.descriptor.digest ? give(options) : store.fetch(target, options),
  };
}

async function storeOf(...roots: readonly Content[]): Promise<MemoryStore> {
  const store = new MemoryStore();
  await pushAll(store, ...roots);
  return store;
}

describe('a copy whose source is bad', () => {
  it.each([
    ['lies about the content', () => Readable.from([Buffer.alloc(200_000)]), 'DIGEST_MISMATCH'],
    ['breaks off', () => Readable.from([bad.bytes.subarray(0, 1000)]), 'SIZE_MISMATCH'],
    ['gives too much', () => Readable.from([bad.bytes, bad.bytes]), 'SIZE_MISMATCH'],
    ['closes the stream', () => closing(bad.bytes.subarray(0, 1000)), 'TRANSFER_INCOMPLETE'],
    ['does not have a layer', () => Promise.reject(new EdgeBundleError('NOT_FOUND', 'no such blob')), 'NOT_FOUND'],
  ] as const)('fails where it %s, and shows neither that content nor its parents', async (_what, give, code) => {
    for (const target of [new MemoryStore(), await LayoutStore.open(await temporaryFolder())]) {
      const source = await sourceWith(bad, give);
      await expectCode(code, () => new Copier({ concurrency: 2 }).copyGraph(source, target, root.descriptor));
      const [parent = root] = root.children;
      for (const { descriptor } of [bad, parent, root]) expect(await target.exists(descriptor)).toBe(false);
    }
  });

  it('passes on what a stream fails with, also before the target listens', async () => {
    const source = await sourceWith(bad, () => {
      const content = new Readable({ read: () => undefined });
      content.destroy(new Error('reset by peer'));
      return content;
    });
    const target = new RecordingStore(new MemoryStore(), { beforePush: () => sleep(20) });
    await expect(new Copier().copyGraph(source, target, root.descriptor)).rejects.toThrow('reset by peer');
  });

  it('does not harm another graph that has the same content from a good source', async () => {
    const lying = await sourceWith(bad, () => Readable.from([Buffer.alloc(200_000)]));
    const target = new MemoryStore();
    const copier = new Copier({ concurrency: 3 });
    const results = await Promise.allSettled([
      copier.copyGraph(lying, target, root.descriptor),
      copier.copyGraph(await storeOf(root), target, root.descriptor),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
    for (const { descriptor } of contentsOf(root)) expect(await target.exists(descriptor)).toBe(true);
  });
});

describe('a copy that fails', () => {
  const many = image(Array.from({ length: 30 }, (_, number) => blob(`layer ${number}`)));

  it('begins nothing new, and ends when what is under way has ended', async () => {
    const gauge = new Gauge();
    let pushes = 0;
    const target = new RecordingStore(
      new MemoryStore(),
      {
        beforePush: async () => {
          pushes += 1;
          if (pushes === 2) throw new EdgeBundleError('QUOTA_EXCEEDED', 'the quota is used up');
          await sleep(30);
        },
      },
      gauge,
    );
    await expectCode('QUOTA_EXCEEDED', async () =>
      new Copier({ concurrency: 4 }).copyGraph(await storeOf(many), target, many.descriptor),
    );
    expect(gauge.running).toBe(0);
    const then = pushes;
    expect(then).toBeLessThanOrEqual(5);
    expect(target.pushed.length).toBe(then - 1);
    await sleep(50);
    expect(pushes).toBe(then);
  });

  it('goes on with the other graphs of the copier', async () => {
    const others = [image([blob('a')]), image([blob('b')])];
    const source = await storeOf(...others);
    const target = new MemoryStore();
    const copier = new Copier({ concurrency: 1 });
    const results = await Promise.allSettled(
      [many, ...others].map(({ descriptor }) => copier.copyGraph(source, target, descriptor)),
    );
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
  });

  it('is completed by the next one, which transfers only what is missing', async () => {
    const target = new MemoryStore();
    const failing = await sourceWith(bad, () => Promise.reject(new EdgeBundleError('TIMEOUT', 'too slow')));
    await expectCode('TIMEOUT', () => new Copier({ concurrency: 1 }).copyGraph(failing, target, root.descriptor));
    const source = new RecordingStore(await storeOf(root));
    await new Copier().copyGraph(source, target, root.descriptor);
    expect(source.fetched).not.toContain(good.descriptor.digest);
    for (const { descriptor } of contentsOf(root)) expect(await target.exists(descriptor)).toBe(true);
  });
});

describe('a copy that is aborted', () => {
  it.each(['a stream that hangs', 'a request that hangs'])('ends with ABORTED in the middle of %s', async (what) => {
    const controller = new AbortController();
    const gauge = new Gauge();
    const hanging: Readable[] = [];
    const source = await sourceWith(bad, ({ signal }) => {
      setTimeout(() => controller.abort(), 30);
      if (what === 'a request that hangs') return hang(signal);
      const content = new Readable({ read: () => undefined });
      hanging.push(content);
      content.push(bad.bytes.subarray(0, 1000));
      return content;
    });
    const target = new RecordingStore(new MemoryStore(), {}, gauge);
    const copier = new Copier({ signal: controller.signal });
    await expectCode('ABORTED', () => copier.copyGraph(source, target, root.descriptor));
    expect(gauge.running).toBe(0);
    expect(hanging.every(({ destroyed }) => destroyed)).toBe(true);
    const { length } = target.asked;
    await expectCode('ABORTED', () => copier.copyGraph(source, target, root.descriptor));
    await expectCode('ABORTED', () => copier.copyContent(source, target, good.descriptor));
    expect(target.asked, 'nothing is asked after the abort').toHaveLength(length);
  });

  it('ends with ABORTED in the middle of many graphs, and leaves nothing under way', async () => {
    const controller = new AbortController();
    const gauge = new Gauge();
    const graphs = Array.from({ length: 10 }, (_, number) => image([blob(`a ${number}`), blob(`b ${number}`)]));
    let pushes = 0;
    const beforePush = (): Promise<void> => {
      pushes += 1;
      if (pushes === 7) controller.abort();
      return Promise.resolve();
    };
    const target = new RecordingStore(new MemoryStore(), { beforePush }, gauge);
    const source = await storeOf(...graphs);
    const copier = new Copier({ signal: controller.signal, concurrency: 3 });
    const results = await Promise.allSettled(
      graphs.map(({ descriptor }) => copier.copyGraph(source, target, descriptor)),
    );
    expect(gauge.running).toBe(0);
    for (const result of results) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'ABORTED' });
    }
    expect(results.some(({ status }) => status === 'rejected')).toBe(true);
    expect(pushes).toBeLessThanOrEqual(9);
  });

  it('leaves nothing in an image layout', async () => {
    const controller = new AbortController();
    const source = await sourceWith(bad, () => {
      setTimeout(() => controller.abort(), 30);
      const content = new Readable({ read: () => undefined });
      content.push(bad.bytes.subarray(0, 1000));
      return content;
    });
    const store = await LayoutStore.open(await temporaryFolder());
    const copier = new Copier({ signal: controller.signal });
    await expectCode('ABORTED', () => copier.copyGraph(source, store, root.descriptor));
    expect(await readdir(join(store.folder, 'ingest'))).toEqual([]);
    expect(await store.exists(bad.descriptor)).toBe(false);
  });

  it('does not warn of too many listeners, however many things are under way', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on('warning', onWarning);
    const wide = image(Array.from({ length: 40 }, (_, number) => blob(noise(1000, number))));
    const copier = new Copier({ concurrency: 40, signal: new AbortController().signal });
    const layout = await LayoutStore.open(await temporaryFolder());
    await copier.copyGraph(await storeOf(wide), layout, wide.descriptor);
    await sleep(10);
    process.removeListener('warning', onWarning);
    expect(warnings).toEqual([]);
  });
});

function closing(bytes: Buffer): Readable {
  const content = new Readable({ read: () => undefined });
  content.push(bytes);
  setTimeout(() => content.destroy(), 20);
  return content;
}

function hang(signal: AbortSignal | undefined): Promise<Readable> {
  return new Promise((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(abortedError(signal)));
  });
}
