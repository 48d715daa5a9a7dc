import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';

import type { BundleBlob, BundleDocument } from '../../src/bundle/bundle-document.ts';
import { type BundleOutline, readBundleDocument } from '../../src/bundle/read-document.ts';
import { compareBundles } from '../../src/delta/compare-bundles.ts';
import { sha256 } from '../support/graphs.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { apps, build, first, second } from './world.ts';

let one: BundleOutline;
let two: BundleOutline;
let delta: BundleOutline;

beforeAll(async () => {
  const out = await temporaryFolder();
  const outline = async (...args: Parameters<typeof build>): Promise<BundleOutline> =>
    readBundleDocument((await build(...args)).bundle.path);
  one = await outline(first, out);
  two = await outline(second, out);
  delta = await outline(second, out, { base: one });
});

const plain: BundleDocument = {
  ...{ formatVersion: 1, name: 'core', platforms: [], sourceDateEpoch: 0, profiles: [], images: [], charts: [] },
  blobs: [],
};

const blobs = fc
  .uniqueArray(fc.nat(20), { maxLength: 20 })
  .map((numbers) => numbers.map((size): BundleBlob => ({ digest: sha256(String(size)), size, storage: 'stored' })));

describe('a comparison of bundles', () => {
  it('tells what was added, what is gone, and which tags have moved', () => {
    const { images, charts, attachments } = compareBundles(one, two);
    expect(images.moved).toEqual([
      { name: 'docker.io/library/app:1', from: apps.one.descriptor.digest, to: apps.two.descriptor.digest },
    ]);
    expect(images.added.map(({ name }) => name)).toEqual(['ghcr.io/new/home:1']);
    expect(images.removed.map(({ name }) => name)).toEqual(['registry.k8s.io/old:1']);
    expect(images.same).toBe(1);
    expect(charts.added.map(({ name }) => name)).toEqual(['pack web 1.0.0']);
    expect(attachments).toMatchObject({ added: [], removed: [], moved: [], same: 1 });
  });

  it('is the same for a delta as for the full bundle', () => {
    expect(compareBundles(one, delta)).toEqual(compareBundles(one, two));
    expect(compareBundles(delta, two)).toMatchObject({ added: { blobs: 0 }, removed: { blobs: 0 } });
  });

  it('counts each blob once, and what is new one way is gone the other way', () => {
    fc.assert(
      fc.property(blobs, blobs, (before, after) => {
        const [from, to] = [{ document: { ...plain, blobs: before } }, { document: { ...plain, blobs: after } }];
        const { added, shared, removed } = compareBundles(from, to);
        expect(added.bytes + shared.bytes).toBe(after.reduce((sum, { size }) => sum + size, 0));
        expect(removed.blobs + shared.blobs).toBe(before.length);
        expect(compareBundles(to, from)).toMatchObject({ added: removed, shared, removed: added });
      }),
    );
  });
});
