import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { buildBundle, type BuildOptions } from '../../src/build/build-bundle.ts';
import type { WantedImage } from '../../src/build/wanted-content.ts';
import type { BundleDocument } from '../../src/bundle/bundle-document.ts';
import { BundleReader } from '../../src/bundle/bundle-reader.ts';
import { verifyBundle } from '../../src/bundle/verify-bundle.ts';
import { mediaTypes } from '../../src/content/media-types.ts';
import { parsePlatform } from '../../src/content/platform-match.ts';
import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { expectError } from '../support/expect-error.ts';
import { blob, type Content, image, noise, pushAll } from '../support/graphs.ts';
import { makeImage, makeIndex } from '../support/images.ts';
import { makeLayer, tarOf } from '../support/layers.ts';
import { type RegistryProxy, startRegistryProxy } from '../support/registry-proxy.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const imageOf = (seed: string): Content => image([blob(noise(3000, seed), mediaTypes.ociLayerGzip)]);

let registry: DockerRegistry;
let proxy: RegistryProxy;
let client: RegistryClient;

beforeAll(async () => {
  registry = await startDockerRegistry();
  proxy = await startRegistryProxy(registry.host);
  client = new RegistryClient({ plainHttp: 'all', retries: 0 });
});
afterAll(async () => {
  await client.close();
  await proxy.stop();
  await registry.stop();
});

interface Built {
  readonly document: BundleDocument;
  readonly warnings: readonly string[];
  /** Method and path. */
  readonly requests: readonly string[];
}

async function build(images: readonly Partial<WantedImage>[], options: Partial<BuildOptions> = {}): Promise<Built> {
  const warnings: string[] = [];
  const from = proxy.answers.length;
  const { bundle } = await buildBundle({
    name: 'test',
    profiles: [],
    source: client,
    out: await temporaryFolder(),
    onEvent: (event) => {
      if (event.type === 'warning') warnings.push(event.text);
    },
    ...options,
    images: images.map((wanted) => ({ sources: [], ...wanted, reference: `${proxy.host}/${wanted.reference ?? ''}` })),
  });
  const requests = proxy.answers.slice(from).map(({ method, path }) => `${method} ${path}`);
  const reader = await BundleReader.open(bundle.path);
  expect((await verifyBundle(reader)).failures).toEqual([]);
  await reader.close();
  return { document: reader.document, warnings, requests };
}

async function push(name: string, content: Content): Promise<void> {
  const [path = '', tag = ''] = name.split(':');
  const repository = client.repository(registry.host, path);
  await pushAll(repository, content);
  await repository.tag(content.descriptor, tag);
}

describe('a tag', () => {
  it('that moves while the bundle is built changes nothing', async () => {
    const [before, after] = [imageOf('before'), imageOf('after')];
    await push('app/moving:v1', before);
    let moves = 0;
    const { document, requests } = await build([{ reference: 'app/moving:v1' }], {
      source: {
        repository: (host, name) => {
          const repository = client.repository(host, name);
          return {
            exists: (...call) => repository.exists(...call),
            fetch: (...call) => repository.fetch(...call),
            resolve: async (...call) => {
              const found = await repository.resolve(...call);
              moves += 1;
              await push('app/moving:v1', after);
              return found;
            },
          };
        },
      },
    });
    expect(moves).toBe(1);
    expect(document.images.map(({ digest }) => digest)).toEqual([before.descriptor.digest]);
    expect(document.blobs.map(({ digest }) => digest)).not.toContain(after.descriptor.digest);
    expect(requests.filter((request) => request.endsWith('/manifests/v1'))).toEqual([
      'HEAD /v2/app/moving/manifests/v1',
    ]);
  });

  it('is not asked for where its digest is known', async () => {
    const [locked, current] = [imageOf('locked'), imageOf('current')];
    await push('app/locked:v1', locked);
    await push('app/locked:v1', current);
    const { digest } = locked.descriptor;
    const { document, requests } = await build([{ reference: 'app/locked:v1', digest }]);
    expect(document.images).toMatchObject([{ reference: `${proxy.host}/app/locked:v1`, digest }]);
    expect(requests.filter((request) => request.endsWith('/manifests/v1'))).toEqual([]);
  });

  it('whose known digest is gone fails the build', async () => {
    await push('app/gone:v1', imageOf('here'));
    const { digest } = imageOf('never pushed').descriptor;
    await expectError('NOT_FOUND', '', () => build([{ reference: 'app/gone:v1', digest }]));
  });
});

describe('platforms', () => {
  const platforms = ['amd64', 'arm64'].map(parsePlatform);
  const layer = async (name: string, seed: string): ReturnType<typeof makeLayer> =>
    makeLayer(client.repository(registry.host, name), tarOf([{ path: 'data', content: noise(5000, seed) }]));

  beforeAll(async () => {
    const repository = client.repository(registry.host, 'app/multi');
    const children = [];
    for (const architecture of ['amd64', 'arm64', 's390x']) {
      const layers = [await layer('app/multi', architecture)];
      children.push(await makeImage(repository, { layers, platform: { os: 'linux', architecture } }));
    }
    await repository.tag(await makeIndex(repository, children), 'v1');
    await repository.tag(await makeIndex(repository, children.slice(0, 1)), 'amd-only');

    const single = client.repository(registry.host, 'app/single');
    const made = await makeImage(single, { layers: [await layer('app/single', 'single')] });
    await single.tag(made, 'v1');
  });

  it('leave indexes as they are where none is asked for', async () => {
    const { document } = await build([{ reference: 'app/multi:v1' }]);
    expect(document).toMatchObject({ platforms: [], images: [{ mediaType: mediaTypes.ociIndex }] });
    expect(document.images[0]).not.toHaveProperty('originalDigest');
    // An index, and manifest, config and layer of each platform.
    expect(document.blobs).toHaveLength(10);
  });

  it('cut indexes down, and nothing else is fetched, nor anything twice', async () => {
    const { document, requests, warnings } = await build([{ reference: 'app/multi:v1' }], { platforms });
    const { digest } = await client.repository(registry.host, 'app/multi').resolve('v1');
    expect(document.platforms).toEqual(['linux/amd64', 'linux/arm64']);
    expect(document.images).toMatchObject([{ mediaType: mediaTypes.ociIndex, originalDigest: digest }]);
    expect(document.blobs).toHaveLength(7);
    const gets = requests.filter((request) => /^GET .*\/(manifests|blobs)\//.test(request));
    expect(gets).toHaveLength(7);
    expect(new Set(gets).size).toBe(7);
    expect(warnings).toEqual([]);
  });

  it('give the same bundle again', async () => {
    const one = await build([{ reference: 'app/multi:v1' }], { platforms });
    expect((await build([{ reference: 'app/multi:v1' }], { platforms: platforms.toReversed() })).document).toEqual(
      one.document,
    );
  });

  it('that an image lacks fail the build, which says what it has', async () => {
    const images = [{ reference: 'app/multi:v1' }, { reference: 'app/multi:amd-only' }, { reference: 'app/single:v1' }];
    const error = await expectError('NOT_FOUND', '', () => build(images, { platforms }));
    expect(error.failures.map(({ message }) => message)).toEqual([
      expect.stringMatching(/app\/multi:amd-only: .*linux\/arm64, only for linux\/amd64/),
      expect.stringMatching(/app\/single:v1: .*linux\/arm64, only for linux\/amd64/),
    ]);
    expect(error.hint).toContain('--allow-missing-platform');
  });

  it('that an image lacks are no failure where that is accepted', async () => {
    const { document, warnings, requests } = await build(
      [{ reference: 'app/multi:amd-only' }, { reference: 'app/single:v1' }],
      { platforms: [parsePlatform('arm64')], allowMissingPlatform: true },
    );
    expect(document.images).toHaveLength(2);
    expect(document.images.every(({ originalDigest }) => originalDigest === undefined)).toBe(true);
    expect(warnings.toSorted()).toEqual([expect.stringContaining('amd-only'), expect.stringContaining('app/single')]);
    // The config was read to see what the image is for, and is not fetched again.
    const gets = requests.filter((request) => request.startsWith('GET') && request.includes('/blobs/'));
    expect(gets).toHaveLength(new Set(gets).size);
  });
});
