import { describe, expect, it } from 'vitest';

import { Copier, type CopyEvent, type CopyOutcome } from '../../src/copy/copier.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { blob, type Content, contentsOf, image, noise, pushAll } from '../support/graphs.ts';
import { MountableRegistry } from './mountable-registry.ts';

const shared = blob(noise(50_000, 'shared'));
const images = Array.from({ length: 10 }, (_, number) => image([shared, blob(`own ${number}`)]));

async function sourceOf(...roots: readonly Content[]): Promise<MemoryStore> {
  const store = new MemoryStore();
  await pushAll(store, ...roots);
  return store;
}

function timesOf(digests: readonly string[], { descriptor }: Content): number {
  return digests.filter((digest) => digest === descriptor.digest).length;
}

function outcomesOf(events: readonly CopyEvent[], { descriptor }: Content): CopyOutcome[] {
  return events.flatMap((event) =>
    event.type === 'finished' && event.descriptor.digest === descriptor.digest ? [event.outcome] : [],
  );
}

describe('a copier into repositories that can mount from each other', () => {
  it.each([1, 3, 16])('uploads a shared layer once and mounts it elsewhere, at concurrency %d', async (concurrency) => {
    const registry = new MountableRegistry();
    const source = await sourceOf(...images);
    const events: CopyEvent[] = [];
    const copier = new Copier({ concurrency, onEvent: (event) => events.push(event) });
    await Promise.all(
      images.map((root, number) => copier.copyGraph(source, registry.repository(`r${number}`), root.descriptor)),
    );
    expect(timesOf(registry.uploads, shared)).toBe(1);
    expect(timesOf(registry.mounts, shared)).toBe(images.length - 1);
    expect(outcomesOf(events, shared).sort()).toEqual(['copied', ...images.slice(1).map(() => 'mounted')]);
    for (const [number, root] of images.entries()) {
      for (const { descriptor } of contentsOf(root)) {
        expect(await registry.repository(`r${number}`).exists(descriptor)).toBe(true);
      }
    }
  });

  it('uploads a manifest to each repository: only blobs are mounted', async () => {
    const registry = new MountableRegistry();
    const [root = image([])] = images;
    const source = await sourceOf(root);
    const copier = new Copier();
    for (const name of ['a', 'b']) await copier.copyGraph(source, registry.repository(name), root.descriptor);
    expect(timesOf(registry.uploads, root)).toBe(2);
    expect(registry.mounts).toHaveLength(contentsOf(root).length - 1);
  });

  it('mounts from a repository that had the content before', async () => {
    const registry = new MountableRegistry();
    const source = await sourceOf(shared);
    await pushAll(registry.repository('old'), shared);
    registry.uploads.length = 0;
    const copier = new Copier();
    expect(await copier.copyContent(source, registry.repository('old'), shared.descriptor)).toBe('present');
    expect(await copier.copyContent(source, registry.repository('new'), shared.descriptor)).toBe('mounted');
    expect(registry.uploads).toEqual([]);
  });

  it('uploads again to another registry', async () => {
    const registries = [new MountableRegistry('one.test'), new MountableRegistry('two.test')];
    const source = await sourceOf(shared);
    const copier = new Copier();
    const outcomes = await Promise.all(
      registries.map((registry) => copier.copyContent(source, registry.repository('r'), shared.descriptor)),
    );
    expect(outcomes).toEqual(['copied', 'copied']);
  });

  it('uploads where the registry does not mount', async () => {
    const registry = new MountableRegistry();
    registry.refusesMounts = true;
    const source = await sourceOf(shared);
    const copier = new Copier();
    const outcomes = await Promise.all(
      ['a', 'b', 'c'].map((name) => copier.copyContent(source, registry.repository(name), shared.descriptor)),
    );
    expect(outcomes).toEqual(['copied', 'copied', 'copied']);
    expect(timesOf(registry.uploads, shared)).toBe(3);
  });

  it('lets the next one upload where the first upload fails', async () => {
    const registry = new MountableRegistry();
    const failing: string[] = [];
    registry.beforeUpload = (_digest, repository) => {
      if (failing.length > 0) return;
      failing.push(repository);
      throw new Error(`no upload to ${repository}`);
    };
    const source = await sourceOf(shared);
    const copier = new Copier({ concurrency: 4 });
    const results = await Promise.allSettled(
      ['a', 'b', 'c', 'd'].map((name) => copier.copyContent(source, registry.repository(name), shared.descriptor)),
    );
    expect(failing).toHaveLength(1);
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(1);
    expect(timesOf(registry.uploads, shared)).toBe(1);
    expect(timesOf(registry.mounts, shared)).toBe(2);
  });
});
