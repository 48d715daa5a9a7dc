import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { buildBundle, type BuildOptions, type BuildResult } from '../../src/build/build-bundle.ts';
import type { ImageSource, WantedImage } from '../../src/build/wanted-content.ts';
import type { Descriptor } from '../../src/content/descriptor.ts';
import { mediaTypes } from '../../src/content/media-types.ts';
import { EdgeBundleError, type ErrorCode } from '../../src/errors.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { expectError } from '../support/expect-error.ts';
import { blob, type Content, image, noise, pushAll } from '../support/graphs.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const layerBytes = 50_000;
const concurrency = 2;

/** Images of two registries, each with one layer of its own. */
const images: readonly (readonly [reference: string, content: Content])[] = ['far.example', 'near.example'].flatMap(
  (registry) =>
    Array.from({ length: 8 }, (_, number) => {
      const name = `${registry}/app-${number}:1`;
      return [name, image([blob(noise(layerBytes, name), mediaTypes.ociLayerGzip)])] as const;
    }),
);

const stores = new Map<string, MemoryStore>();
/** What the registries fail with, by registry; asked for everything that is fetched. */
let failing: (registry: string, target: Descriptor | undefined) => ErrorCode | undefined;
let fetched: string[];
let out: string;

const source: ImageSource = {
  repository(registry, repository) {
    const store = stores.get(`${registry}/${repository}`) ?? new MemoryStore();
    const passing = async (target?: Descriptor): Promise<void> => {
      await sleep(1);
      fetched.push(`${registry} ${target === undefined ? 'tag' : target.mediaType}`);
      const code = failing(registry, target);
      if (code !== undefined) throw new EdgeBundleError(code, `${registry} does not answer`);
    };
    return {
      resolve: async (...request) => {
        await passing();
        return store.resolve(...request);
      },
      exists: (...request) => store.exists(...request),
      fetch: async (...request) => {
        await passing(request[0]);
        return store.fetch(...request);
      },
    };
  },
};

const wanted: WantedImage[] = images.map(([reference]) => ({ reference, sources: [] }));

beforeAll(async () => {
  for (const [reference, content] of images) {
    const store = new MemoryStore();
    await pushAll(store, content);
    await store.tag(content.descriptor, '1');
    stores.set(reference.slice(0, reference.lastIndexOf(':')), store);
  }
});

beforeEach(async () => {
  failing = () => undefined;
  fetched = [];
  out = await temporaryFolder();
});

afterAll(() => stores.clear());

function build(more: Partial<BuildOptions> = {}): Promise<BuildResult> {
  return buildBundle({ name: 'failures', images: wanted, profiles: [], source, out, concurrency, ...more });
}

function isLayer(target: Descriptor | undefined): boolean {
  return target?.mediaType === mediaTypes.ociLayerGzip;
}

describe('a build with a registry that', () => {
  it.each(['REGISTRY_UNAVAILABLE', 'TIMEOUT'] as const)(
    'fails with %s fetches all from the other one, and says what was not tried',
    async (code) => {
      failing = (registry, target) => (registry === 'far.example' && isLayer(target) ? code : undefined);
      const error = await expectError(code, "the bundle 'failures' is not complete", () => build());
      const messages = error.failures.map(({ message }) => message);
      expect(messages.slice(0, 3)).toEqual(
        [0, 1, 2].map((number) => expect.stringMatching(`far\\.example/app-${number}:1: `) as string),
      );
      expect(messages.at(-1)).toMatch(/^far\.example was given up; not tried: .*far\.example\/app-7:1$/);
      expect(fetched.filter((what) => what === `far.example ${mediaTypes.ociLayerGzip}`).length).toBeLessThanOrEqual(
        3 + concurrency,
      );
      failing = () => undefined;
      // The layers of the one that failed, and the small content of all, which is not kept.
      expect((await build()).bytes.downloaded).toBeLessThan(8 * layerBytes + 16 * 1_000);
    },
  );

  it('is gone when references are resolved is asked a few times, not once for each image', async () => {
    failing = (registry) => (registry === 'far.example' ? 'REGISTRY_UNAVAILABLE' : undefined);
    await expectError('REGISTRY_UNAVAILABLE', '8 of 16 images cannot be had', () => build());
    expect(fetched.filter((what) => what === 'far.example tag').length).toBeLessThanOrEqual(3 + concurrency);
    expect(fetched.filter((what) => what === 'near.example tag')).toHaveLength(8);
  });

  it('lacks a reference keeps the layers of all others from being fetched twice', async () => {
    failing = (registry, target) => (registry === 'far.example' && target === undefined ? 'NOT_FOUND' : undefined);
    await expectError('NOT_FOUND', '8 of 16 images cannot be had', () => build());
    const near = `near.example ${mediaTypes.ociLayerGzip}`;
    expect(fetched.filter((what) => what === near)).toHaveLength(8);
    expect(await readdir(out)).toEqual(['.set-aside']);
    failing = () => undefined;
    const { bundle, bytes } = await build();
    expect(fetched.filter((what) => what === near)).toHaveLength(8);
    expect(bytes.reused.bundles).toBeGreaterThanOrEqual(8 * layerBytes);
    expect(await readdir(out)).toEqual([basename(dirname(bundle.path))]);
    const other = await build({ out: await temporaryFolder() });
    expect(await readFile(bundle.path)).toEqual(await readFile(other.bundle.path));
  });

  it('hangs at single blobs is not given up', async () => {
    let layers = 0;
    failing = (_, target) => (isLayer(target) && (layers += 1) % 3 === 0 ? 'TIMEOUT' : undefined);
    const error = await expectError('TIMEOUT', 'not complete', () => build());
    expect(layers).toBe(16);
    expect(error.failures).toHaveLength(5);
  });

  it('lacks a blob keeps nothing else from being fetched', async () => {
    const [lost] = images[3]?.[1].children.slice(-1) ?? [];
    failing = (_, target) => (target?.digest === lost?.descriptor.digest ? 'NOT_FOUND' : undefined);
    const error = await expectError('NOT_FOUND', 'not complete', () => build());
    expect(error.failures.map(({ message }) => message)).toEqual(['far.example/app-3:1: far.example does not answer']);
    failing = () => undefined;
    expect((await build()).bytes.downloaded).toBeLessThan(layerBytes + 16 * 1_000);
  });

  it('fails at a large compressed blob keeps no layer from being fetched', async () => {
    const large = image([blob('edge '.repeat(200_000), mediaTypes.ociLayer)]);
    const store = new MemoryStore();
    await pushAll(store, large);
    await store.tag(large.descriptor, '1');
    stores.set('far.example/large', store);
    failing = (_, target) => (target?.mediaType === mediaTypes.ociLayer ? 'TRANSFER_INCOMPLETE' : undefined);
    const withLarge = [{ reference: 'far.example/large:1', sources: [] }, ...wanted];
    await expectError('TRANSFER_INCOMPLETE', 'not complete', () => build({ images: withLarge }));
    expect(fetched.filter((what) => what.endsWith(mediaTypes.ociLayerGzip))).toHaveLength(16);
  });
});
