import { describe, expect, it } from 'vitest';

import { copy } from '../../src/copy/copy.ts';
import type { CopyEvent } from '../../src/copy/copier.ts';
import { LayoutStore } from '../../src/store/layout-store.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { blob, contentsOf, image, pushAll } from '../support/graphs.ts';
import { expectCode } from '../support/store-contract.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const root = image([blob('layer')]);

async function taggedSource(): Promise<MemoryStore> {
  const source = new MemoryStore();
  await pushAll(source, root);
  await source.tag(root.descriptor, 'v1');
  return source;
}

describe('copy', () => {
  it('brings an image by its name, and names it', async () => {
    const target = await LayoutStore.open(await temporaryFolder());
    const events: CopyEvent[] = [];
    const copied = await copy(await taggedSource(), 'v1', target, { onEvent: (event) => events.push(event) });
    expect(copied).toEqual(root.descriptor);
    expect(await target.resolve('v1')).toEqual(root.descriptor);
    expect(events.filter(({ type }) => type === 'finished')).toHaveLength(contentsOf(root).length);
  });

  it('gives it another name where one is said', async () => {
    const target = new MemoryStore();
    await copy(await taggedSource(), 'v1', target, { newReference: 'v2' });
    expect(await target.tags()).toEqual(['v2']);
  });

  it('brings an image that is known only by its digest', async () => {
    const target = await LayoutStore.open(await temporaryFolder());
    await copy(await taggedSource(), root.descriptor.digest, target);
    expect(await target.entries()).toEqual([{ descriptor: root.descriptor, name: undefined }]);
  });

  it('moves the name only after all has arrived', async () => {
    const source = await taggedSource();
    const target = new MemoryStore();
    const old = image([blob('old')]);
    await pushAll(target, old);
    await target.tag(old.descriptor, 'v1');
    const controller = new AbortController();
    const onEvent = ({ type }: CopyEvent): void => {
      if (type === 'finished') controller.abort();
    };
    await expectCode('ABORTED', () =>
      copy(source, 'v1', target, { onEvent, signal: controller.signal, concurrency: 1 }),
    );
    expect(await target.resolve('v1')).toEqual(old.descriptor);
    await copy(source, 'v1', target);
    expect(await target.resolve('v1')).toEqual(root.descriptor);
  });

  it('says NOT_FOUND for a name that the source does not have', async () => {
    await expectCode('NOT_FOUND', async () => copy(await taggedSource(), 'v9', new MemoryStore()));
  });
});
