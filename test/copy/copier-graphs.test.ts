import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { Copier } from '../../src/copy/copier.ts';
import { LayoutStore } from '../../src/store/layout-store.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { arbitraryGraph, contentsOf, pushAll, sha256 } from '../support/graphs.ts';
import { readAll } from '../support/store-contract.ts';
import { memoryFolder } from '../support/temporary-folder.ts';
import { RecordingStore } from './recording-store.ts';

const concurrencies = fc.integer({ min: 1, max: 8 });

describe('random graphs', () => {
  it('are copied from memory to memory: the target holds exactly the graphs', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(arbitraryGraph(), { minLength: 1, maxLength: 4 }),
        concurrencies,
        async (roots, concurrency) => {
          const source = new MemoryStore();
          await pushAll(source, ...roots);
          const target = new RecordingStore(new MemoryStore());
          const copier = new Copier({ concurrency });
          await Promise.all(roots.map((root) => copier.copyGraph(source, target, root.descriptor)));
          const all = contentsOf(...roots);
          expect([...target.pushed].sort()).toEqual(all.map(({ descriptor }) => descriptor.digest).sort());
          for (const { descriptor, bytes, children } of all) {
            expect(sha256(await readAll(await target.fetch(descriptor)))).toBe(sha256(bytes));
            for (const child of children) {
              expect(target.pushed.indexOf(child.descriptor.digest)).toBeLessThan(
                target.pushed.indexOf(descriptor.digest),
              );
            }
          }
        },
      ),
      { numRuns: 25 },
    );
  });

  it('are copied from memory to a layout and back: the files are exactly the graph', async () => {
    const parent = await memoryFolder();
    let number = 0;
    await fc.assert(
      fc.asyncProperty(arbitraryGraph(), concurrencies, async (root, concurrency) => {
        number += 1;
        const folder = join(parent, String(number));
        const [source, layout, back] = [new MemoryStore(), await LayoutStore.open(folder), new MemoryStore()];
        await pushAll(source, root);
        const copier = new Copier({ concurrency });
        await copier.copyGraph(source, layout, root.descriptor);
        const all = contentsOf(root);
        const names = await readdir(join(folder, 'blobs', 'sha256'));
        expect(names.sort()).toEqual(all.map(({ descriptor }) => descriptor.digest.slice('sha256:'.length)).sort());
        for (const name of names) {
          expect(sha256(await readFile(join(folder, 'blobs', 'sha256', name)))).toBe(`sha256:${name}`);
        }
        await copier.copyGraph(layout, back, root.descriptor);
        for (const { descriptor } of all) expect(await back.exists(descriptor)).toBe(true);
      }),
      { numRuns: 15 },
    );
  });

  it('are transferred again only where they are missing', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryGraph(), arbitraryGraph(), concurrencies, async (first, second, concurrency) => {
        const source = new MemoryStore();
        await pushAll(source, first, second);
        const store = new MemoryStore();
        await pushAll(store, first);
        const target = new RecordingStore(store);
        await new Copier({ concurrency }).copyGraph(source, target, second.descriptor);
        const had = new Set(contentsOf(first).map(({ descriptor }) => descriptor.digest));
        const missing = contentsOf(second).filter(({ descriptor }) => !had.has(descriptor.digest));
        expect([...target.pushed].sort()).toEqual(missing.map(({ descriptor }) => descriptor.digest).sort());
      }),
      { numRuns: 25 },
    );
  });
});
