import { readFile } from 'node:fs/promises';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { BuildResult } from '../../src/build/build-bundle.ts';
import { BundleReader } from '../../src/bundle/bundle-reader.ts';
import { readBundleDocument } from '../../src/bundle/read-document.ts';
import { verifyBundle } from '../../src/bundle/verify-bundle.ts';
import { mediaTypes } from '../../src/content/media-types.ts';
import { mergeBundles } from '../../src/delta/merge-bundles.ts';
import { expectSame, text } from '../support/bundles.ts';
import { blob, type Content, image, index, noise } from '../support/graphs.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { build, type World } from './world.ts';

const pool: readonly Content[] = [
  ...[1, 2, 3, 4].map((seed) => blob(noise(2_000 * seed, seed), mediaTypes.ociLayerGzip)),
  blob(noise(140_000, 'two blocks'), mediaTypes.ociLayerZstd),
  blob('small and plain', mediaTypes.ociLayer),
  blob(text(263_000), mediaTypes.ociLayer),
  blob(text(264_000), mediaTypes.ociLayer),
];

const anyImage = fc
  .uniqueArray(fc.constantFrom(...pool), { minLength: 1, maxLength: 4 })
  .map((layers) => image(layers));
const anyContent = fc.oneof(
  { weight: 3, arbitrary: anyImage },
  {
    weight: 1,
    arbitrary: fc
      .uniqueArray(anyImage, { minLength: 1, maxLength: 2, selector: (each) => each.descriptor.digest })
      .map((images) => index(images)),
  },
);
const anyWorld = fc
  .record({ a: anyContent, b: anyContent, c: anyContent, d: anyContent }, { requiredKeys: ['a'] })
  .map((images): World => ({
    images: Object.fromEntries(
      Object.entries(images).map(([name, content]) => [`docker.io/library/${name}:1`, content]),
    ),
  }));

describe('any chain of deltas', () => {
  it('has each blob once, verifies, and merges into the bytes of a full build', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyWorld, { minLength: 2, maxLength: 4 }), async (worlds) => {
        const out = await temporaryFolder();
        const chain: BuildResult[] = [];
        for (const world of worlds) {
          const previous = chain.at(-1);
          const base = previous && (await readBundleDocument(previous.bundle.path));
          chain.push(await build(world, out, { base }));
        }
        const bundles = await Promise.all(chain.map(({ bundle }) => BundleReader.open(bundle.path)));
        try {
          for (const bundle of bundles) expect((await verifyBundle(bundle)).failures).toEqual([]);
          const [base, ...deltas] = bundles;
          if (base === undefined) throw new Error('there is no bundle');
          const merged = await mergeBundles({ base, deltas, out: await temporaryFolder() });
          const whole = await build(worlds.at(-1) ?? { images: {} }, await temporaryFolder());
          expectSame(await readFile(merged.bundle.path), await readFile(whole.bundle.path));
        } finally {
          for (const bundle of bundles) await bundle.close();
        }
      }),
      { numRuns: Number(process.env.DELTA_RUNS ?? 12) },
    );
  });
});
