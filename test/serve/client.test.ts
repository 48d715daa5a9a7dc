import { Readable } from 'node:stream';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { mediaTypes } from '../../src/content/media-types.ts';
import { readContent } from '../../src/content/verify.ts';
import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { BundleContent } from '../../src/serve/bundle-content.ts';
import { blob, contentsOf, image, index, noise, pushAll, sampleGraphs, sha256 } from '../support/graphs.ts';
import { describeStoreContract } from '../support/store-contract.ts';
import { memoryFolder } from '../support/temporary-folder.ts';
import { bundleOf, serve, type Served, serveFolder } from './served.ts';

describe.each([
  ['in one piece', undefined],
  ['in chunks', 60_000],
])('our client, pushing blobs %s', (_how, chunkBytes) => {
  let made = 0;
  describeStoreContract('a repository of our registry', async () => {
    const folder = await memoryFolder();
    const served = await serveFolder(folder);
    const client = new RegistryClient({ plainHttp: 'all', chunkBytes });
    made += 1;
    return {
      store: client.repository(served.host, `contract/number-${made}`),
      close: async () => {
        await client.close();
        await served.close();
      },
    };
  });
});

describe('our client', () => {
  let folder: string;
  let served: Served;
  let client: RegistryClient;

  beforeAll(async () => {
    folder = await memoryFolder();
    served = await serveFolder(folder);
    client = new RegistryClient({ plainHttp: 'all' });
  });
  afterAll(async () => {
    await client.close();
    await served.close();
  });

  it('pushes and pulls every kind of content', async () => {
    await client.ping(served.host);
    for (const [kind, root] of Object.entries(sampleGraphs())) {
      const name = kind.toLowerCase().replaceAll(' ', '-');
      const repository = client.repository(served.host, name);
      await pushAll(repository, root);
      await repository.tag(root.descriptor, 'v1');
      expect(await repository.resolve('v1')).toMatchObject(root.descriptor);
      for (const { descriptor, bytes } of contentsOf(root)) {
        expect((await readContent(repository, descriptor)).equals(bytes)).toBe(true);
      }
      expect(await repository.tags()).toEqual(['v1']);
    }
    expect(served.errors).toEqual([]);
  });

  it('mounts instead of pushing', async () => {
    const layer = blob(noise(10_000, 'mounted'), mediaTypes.ociLayerGzip);
    const [first, second] = [
      client.repository(served.host, 'mount/first'),
      client.repository(served.host, 'mount/second'),
    ];
    await first.push(layer.descriptor, Readable.from([layer.bytes]));
    expect(await second.exists(layer.descriptor)).toBe(false);
    expect(await second.mount(layer.descriptor, first.repositoryName)).toBe(true);
    expect(await second.exists(layer.descriptor)).toBe(true);
    expect(await second.mount(blob('nobody has this').descriptor, first.repositoryName)).toBe(false);
  });

  it('lists what refers to an image, without a tag that stands in for the list', async () => {
    const subject = index([image([blob('layer')])]);
    const signature = image([blob('sig')], { artifactType: 'application/vnd.example.sig', subject });
    const repository = client.repository(served.host, 'referrers');
    await pushAll(repository, signature);
    expect(await repository.referrers(subject.descriptor)).toEqual([
      expect.objectContaining({ digest: signature.descriptor.digest, artifactType: 'application/vnd.example.sig' }),
    ]);
    expect(await repository.tags()).toEqual([]);
  });

  it('is told what is wrong, in the words of the registry', async () => {
    const bundle = await serve(
      new BundleContent(await bundleOf({ 'docker.io/library/app:1': image([blob('layer')]) })),
    );
    try {
      const repository = client.repository(bundle.host, 'docker.io/library/app');
      expect(sha256(await readContent(repository, await repository.resolve('1')))).toBe(
        image([blob('layer')]).descriptor.digest,
      );
      const push = repository.push(blob('new').descriptor, Readable.from([Buffer.from('new')]));
      await expect(push).rejects.toMatchObject({ message: expect.stringContaining('--writable') as unknown });
    } finally {
      await bundle.close();
    }
  });
});
