import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { mediaTypes } from '../../src/content/media-types.ts';
import { loadBundle } from '../../src/loader/load-bundle.ts';
import type { LoadOptions } from '../../src/loader/load-options.ts';
import type { LoadEvent } from '../../src/loader/load-events.ts';
import { ensureVerified, verifyRegistry } from '../../src/loader/verify-registry.ts';
import { FixedCredentials } from '../../src/oci-client/credentials.ts';
import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { CertificateAuthority } from '../support/certificates.ts';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { blob, type Content, contentsOf, image, index, noise } from '../support/graphs.ts';
import { type RegistryProxy, startRegistryProxy } from '../support/registry-proxy.ts';
import { startTokenServer } from '../support/token-server.ts';
import { bundleOf, layer, type MemoryBundle, type Sample, sampleBundle } from './sample-bundle.ts';
import { pullDigest } from './skopeo.ts';

let registry: DockerRegistry;
let proxy: RegistryProxy;
let client: RegistryClient;
let sample: Sample;
let projects = 0;
let project: string;
let packsProject: string;

beforeAll(async () => {
  registry = await startDockerRegistry();
  proxy = await startRegistryProxy(registry.host);
  client = new RegistryClient({ plainHttp: 'all' });
  sample = await sampleBundle();
});

beforeEach(() => {
  project = `edge-${++projects}`;
  packsProject = `packs-${projects}`;
  proxy.fault = undefined;
});

afterAll(async () => {
  await client.close();
  await proxy.stop();
  await registry.stop();
});

function into(bundle: MemoryBundle, more: Partial<LoadOptions> = {}): LoadOptions {
  return { bundle, client, registry: proxy.host, project, packsProject, ...more };
}

/** `METHOD what` to how often it was asked for since `from`. */
function requestsSince(from: number): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { method, path } of proxy.answers.slice(from)) {
    const what = path.includes('?mount=') ? 'mount' : (/\/(manifests|blobs\/uploads|blobs)\//.exec(path)?.[1] ?? path);
    counts[`${method} ${what}`] = (counts[`${method} ${what}`] ?? 0) + 1;
  }
  return counts;
}

/** Where docker-registry keeps a blob's bytes. */
function blobFolder({ descriptor: { digest } }: Content): string {
  const hex = digest.slice('sha256:'.length);
  return join(registry.storage, 'docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex);
}

describe('a load', () => {
  it('brings every image to its place, as skopeo pulls it', async () => {
    const result = await loadBundle(into(sample.bundle));
    for (const [place, content] of Object.entries(sample.places)) {
      expect(await pullDigest({ registry: registry.host }, `${project}/${place}`), place).toBe(
        content.descriptor.digest,
      );
    }
    for (const [place, content] of Object.entries(sample.chartPlaces)) {
      expect(await pullDigest({ registry: registry.host }, `${packsProject}/${place}`), place).toBe(
        content.descriptor.digest,
      );
    }
    expect(result).toMatchObject({ images: 7, charts: 2, missing: [] });
  });

  it('keeps an image without a tag alive by a tag that names its digest', async () => {
    const pinned = image([layer('kept')]);
    await loadBundle(into(await bundleOf({ [`gcr.io/a/a@${pinned.descriptor.digest}`]: pinned })));
    expect(await client.repository(registry.host, `${project}/gcr.io/a/a`).tags()).toEqual([
      `by-digest-${pinned.descriptor.digest.slice('sha256:'.length)}`,
    ]);
  });

  it('uploads a layer that images share once and mounts it everywhere else', async () => {
    const shared = layer('shared by five', 300_000);
    const apps = [1, 2, 3, 4, 5].map((number) => image([shared, layer(`own ${number}`, 1000 + number)]));
    const bundle = await bundleOf(Object.fromEntries(apps.map((app, at) => [`quay.io/team/app-${at}:1`, app])));
    const from = proxy.answers.length;
    const result = await loadBundle(into(bundle));
    const own = apps.flatMap((app) => contentsOf(app).filter((content) => content !== app && content !== shared));
    const ownBytes = own.reduce((bytes, { descriptor }) => bytes + descriptor.size, 0);
    expect(result).toEqual({
      images: 5,
      charts: 0,
      blobs: { uploaded: 1 + 10, mounted: 4, present: 0 },
      bytes: { uploaded: 300_000 + ownBytes, mounted: 4 * 300_000, present: 0 },
      missing: [],
    });
    const of = (method: string, part: string): number =>
      proxy.answers.slice(from).filter(({ method: was, path, status }) => {
        return (
          was === method &&
          path.includes(part) &&
          path.includes(encodeURIComponent(shared.descriptor.digest)) &&
          status === 201
        );
      }).length;
    expect(of('PUT', '/blobs/uploads/')).toBe(1);
    expect(of('POST', '?mount=')).toBe(4);
  });

  it('sends nothing the second time', async () => {
    await loadBundle(into(sample.bundle));
    const from = proxy.answers.length;
    const again = await loadBundle(into(sample.bundle));
    expect(again).toMatchObject({
      blobs: { uploaded: 0, mounted: 0, present: 24 },
      bytes: { uploaded: 0, mounted: 0 },
    });
    const requests = requestsSince(from);
    expect(Object.keys(requests).sort()).toEqual(['GET /v2/', 'GET manifests', 'HEAD blobs', 'HEAD manifests']);
    expect(requests['HEAD blobs']).toBe(24);
    // Of what is there nothing is read but the lists of what refers to it.
    const gets = proxy.answers.slice(from).filter(({ method, path }) => method === 'GET' && path !== '/v2/');
    for (const { path } of gets) expect(path).toMatch(/\/manifests\/sha256-[0-9a-f]{64}$/);
  });

  it('makes the same state with one worker and with eight', async () => {
    for (const concurrency of [1, 8]) {
      [project, packsProject] = [`workers-${concurrency}`, `packs-of-${concurrency}`];
      const { blobs } = await loadBundle(into(sample.bundle, { concurrency }));
      expect(blobs).toEqual({ uploaded: 17, mounted: 7, present: 0 });
    }
  });

  it('puts the children of an index into its repository, and the list of referrers beside it', async () => {
    await loadBundle(into(sample.bundle));
    const repository = client.repository(registry.host, `${project}/quay.io/org/multi`);
    for (const child of sample.multi.children) expect(await repository.exists(child.descriptor)).toBe(true);
    const signature = sample.places['quay.io/org/multi:2.sig'];
    expect((await repository.referrers(sample.multi.descriptor)).map(({ digest }) => digest)).toEqual([
      signature?.descriptor.digest,
    ]);
    expect(await repository.tags()).toContain(sample.multi.descriptor.digest.replace(':', '-'));
  });

  it('moves a tag that leads to something else', async () => {
    const [old, current] = [image([layer('old')]), image([layer('current')])];
    await loadBundle(into(await bundleOf({ 'quay.io/a/moved:1': old })));
    await loadBundle(into(await bundleOf({ 'quay.io/a/moved:1': current })));
    expect(await pullDigest({ registry: registry.host }, `${project}/quay.io/a/moved:1`)).toBe(
      current.descriptor.digest,
    );
  });

  it('never shows a tag before all that is below it is there', async () => {
    const tags: string[] = [];
    const manifests: string[] = [];
    proxy.fault = ({ method, path }) => {
      if (method !== 'PUT' || !path.includes('/manifests/')) return undefined;
      const reference = path.split('/').at(-1) ?? '';
      if (reference.startsWith('sha256:')) manifests.push(reference);
      else tags.push(`${reference} after ${manifests.length} manifests`);
      return undefined;
    };
    const multi = index([image([layer('first')]), image([layer('second')])]);
    await loadBundle(into(await bundleOf({ 'quay.io/a/multi:1': multi })));
    expect(manifests.at(-1)).toBe(multi.descriptor.digest);
    expect(tags).toEqual(['1 after 3 manifests']);
  });

  it('brings images of one repository one after another, and those of several at once', async () => {
    const images = Object.fromEntries(
      ['a', 'b'].flatMap((name) =>
        [1, 2, 3].map((tag) => [`quay.io/a/${name}:${tag}`, image([layer(`${name} ${tag}`)])]),
      ),
    );
    const open = new Map<string, number>();
    const most = { inOne: 0, inAll: 0 };
    const onEvent = (event: LoadEvent): void => {
      if (event.type !== 'image-started' && event.type !== 'image-finished') return;
      const { repository } = event.image;
      open.set(repository, (open.get(repository) ?? 0) + (event.type === 'image-started' ? 1 : -1));
      most.inOne = Math.max(most.inOne, ...open.values());
      most.inAll = Math.max(
        most.inAll,
        [...open.values()].reduce((sum, count) => sum + count, 0),
      );
    };
    await loadBundle(into(await bundleOf(images), { onEvent }));
    expect(most).toEqual({ inOne: 1, inAll: 2 });
  });

  it('tells what happens, image by image, and the result at last', async () => {
    const events: LoadEvent[] = [];
    const app = image([layer('told', 100_000)]);
    const bundle = await bundleOf({ 'quay.io/a/told:1': app });
    const result = await loadBundle(into(bundle, { onEvent: (event) => events.push(event) }));
    const told = {
      kind: 'image',
      repository: `${project}/quay.io/a/told`,
      tags: ['1'],
      references: ['quay.io/a/told:1'],
    };
    expect(events[0]).toEqual({
      type: 'image-started',
      image: { ...told, root: expect.objectContaining(app.descriptor) as object },
    });
    expect(events.slice(-3)).toEqual([
      expect.objectContaining({ type: 'image-finished', outcome: 'loaded' }),
      { type: 'verifying', images: 1 },
      { type: 'verified', result },
    ]);
    const bytes = events.reduce((sum, event) => sum + (event.type === 'progress' ? event.bytes : 0), 0);
    expect(bytes).toBe(contentsOf(app).reduce((sum, { descriptor }) => sum + descriptor.size, 0));
    const again: LoadEvent[] = [];
    await loadBundle(into(bundle, { onEvent: (event) => again.push(event) }));
    expect(again).toContainEqual(expect.objectContaining({ type: 'image-finished', outcome: 'present' }));
  });
});

describe('a load over TLS with tokens', () => {
  it('brings every image to its place', async () => {
    const authority = await CertificateAuthority.create();
    const login = { name: 'loader', password: 'a-password-of-the-loader' };
    const tls = await authority.issue(['127.0.0.1']);
    const tokens = await startTokenServer({ users: { [login.name]: login.password }, tls });
    const secured = await startDockerRegistry({ tls, tokenAuth: tokens });
    const credentials = new FixedCredentials(secured.host, { username: login.name, password: login.password });
    const loader = new RegistryClient({ ca: authority.certificate, credentials });
    const stranger = new RegistryClient({ credentials });
    try {
      const target = { bundle: sample.bundle, registry: secured.host, project, packsProject };
      await expect(loadBundle({ ...target, client: stranger })).rejects.toMatchObject({ code: 'TLS_UNTRUSTED' });
      const result = await loadBundle({ ...target, client: loader });
      expect(result).toMatchObject({ images: 7, charts: 2, missing: [] });
      const access = { registry: secured.host, caPath: authority.certificatePath, login };
      for (const [place, content] of Object.entries(sample.places)) {
        expect(await pullDigest(access, `${project}/${place}`), place).toBe(content.descriptor.digest);
      }
    } finally {
      await loader.close();
      await stranger.close();
      await secured.stop();
      await tokens.stop();
      await authority.remove();
    }
  });

  it('is AUTH_FAILED with a wrong password, tried once for all images', async () => {
    const tokens = await startTokenServer({ users: { loader: 'right' } });
    const secured = await startDockerRegistry({ tokenAuth: tokens });
    const credentials = new FixedCredentials(secured.host, { username: 'loader', password: 'wrong' });
    const loader = new RegistryClient({ plainHttp: 'all', credentials });
    try {
      await expect(
        loadBundle({ bundle: sample.bundle, client: loader, registry: secured.host, project }),
      ).rejects.toMatchObject({ code: 'AUTH_FAILED', exitCode: 1 });
      expect(tokens.requests).toHaveLength(1);
    } finally {
      await loader.close();
      await secured.stop();
      await tokens.stop();
    }
  });
});

describe('the verification', () => {
  it('finds everything after a load', async () => {
    await loadBundle(into(sample.bundle));
    const verification = await verifyRegistry(into(sample.bundle));
    expect(verification).toMatchObject({
      images: 7,
      charts: 2,
      asked: { tags: 9, manifests: 11, blobs: 24 },
      missing: [],
    });
    expect(() => ensureVerified(verification, proxy.host)).not.toThrow();
  });

  it('names a blob that the registry has lost, and a load brings it back', async () => {
    const lost = layer('lost');
    const lostImage = image([lost, layer('not lost')]);
    const bundle = await bundleOf({ 'quay.io/a/lost:1': lostImage, 'quay.io/a/sound:1': image([layer('sound')]) });
    await loadBundle(into(bundle));
    await rm(blobFolder(lost), { recursive: true });
    const verification = await verifyRegistry(into(bundle));
    expect(verification.missing).toEqual([
      {
        kind: 'blob',
        repository: `${project}/quay.io/a/lost`,
        digest: lost.descriptor.digest,
        references: ['quay.io/a/lost:1'],
      },
    ]);
    expect(() => ensureVerified(verification, proxy.host)).toThrow(
      expect.objectContaining({
        code: 'NOT_VERIFIED',
        exitCode: 3,
        failures: [expect.objectContaining({ message: expect.stringContaining(lost.descriptor.digest) as string })],
      }),
    );
    const result = await loadBundle(into(bundle));
    expect(result).toMatchObject({ blobs: { uploaded: 1, mounted: 0, present: 4 }, missing: [] });
    expect((await stat(join(blobFolder(lost), 'data'))).size).toBe(lost.descriptor.size);
  });

  it('names charts that are missing, in their project', async () => {
    const content = image([layer('a chart')]);
    const charts = [
      { kind: 'chart', name: 'web', version: '1.0.0', reference: 'localhost/charts/web:1.0.0', content },
    ] as const;
    const verification = await verifyRegistry(into(await bundleOf({}, charts)));
    expect(verification).toMatchObject({ images: 0, charts: 1 });
    expect(verification.missing[0]).toMatchObject({
      kind: 'tag',
      repository: `${packsProject}/charts/web`,
      tag: '1.0.0',
      digest: content.descriptor.digest,
      references: ['localhost/charts/web:1.0.0'],
    });
  });

  it('names tags that are missing or lead elsewhere, and children of indexes', async () => {
    const [first, second] = [image([layer('child 1')]), image([layer('child 2')])];
    const multi = index([first, second]);
    const other = image([layer('other')]);
    await loadBundle(into(await bundleOf({ 'quay.io/a/multi:1': other })));
    const { missing } = await verifyRegistry(
      into(await bundleOf({ 'quay.io/a/multi:1': multi, 'quay.io/a/multi:2': other })),
    );
    expect(missing.map(({ kind, tag, digest, found }) => ({ kind, tag, digest, found }))).toEqual([
      { kind: 'tag', tag: '1', digest: multi.descriptor.digest, found: other.descriptor.digest },
      { kind: 'manifest', digest: first.descriptor.digest },
      { kind: 'manifest', digest: second.descriptor.digest },
      { kind: 'manifest', digest: multi.descriptor.digest },
      ...[first, second].flatMap(({ children }) =>
        children.map((child) => ({ kind: 'blob', digest: child.descriptor.digest })),
      ),
      { kind: 'tag', tag: '2', digest: other.descriptor.digest },
    ]);
  });

  it('fails a load whose content the registry has not kept', async () => {
    const lost = layer('never kept');
    proxy.fault = ({ method, path }) =>
      method === 'HEAD' && path.includes(lost.descriptor.digest) ? { kind: 'answer', status: 404 } : undefined;
    const events: LoadEvent[] = [];
    const load = loadBundle(
      into(await bundleOf({ 'quay.io/a/lost:2': image([lost]) }), { onEvent: (event) => events.push(event) }),
    );
    await expect(load).rejects.toMatchObject({
      code: 'NOT_VERIFIED',
      exitCode: 3,
      failures: [
        expect.objectContaining({
          message: expect.stringContaining(`blob ${lost.descriptor.digest} is missing`) as string,
        }),
      ],
    });
    expect(events.at(-1)).toMatchObject({
      type: 'verified',
      result: { missing: [{ kind: 'blob', digest: lost.descriptor.digest, references: ['quay.io/a/lost:2'] }] },
    });
  });
});

describe('a load that fails', () => {
  it('loads the other images, and names the one that it could not', async () => {
    const broken = image([layer('not in the bundle')]);
    const bundle = await bundleOf({
      'quay.io/a/first:1': image([layer('a')]),
      'quay.io/a/third:1': image([layer('c')]),
    });
    const document = await bundleOf({ 'quay.io/a/broken:1': broken });
    const damaged: MemoryBundle = {
      ...bundle,
      document: { ...bundle.document, images: [...document.document.images, ...bundle.document.images] },
    };
    await expect(loadBundle(into(damaged))).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: `1 of 3 images could not be loaded into ${proxy.host}/${project}`,
      failures: [
        expect.objectContaining({
          message: expect.stringMatching(/^quay\.io\/a\/broken:1: .*not in the memory store/) as string,
        }),
      ],
    });
    for (const name of ['first', 'third']) {
      const repository = client.repository(registry.host, `${project}/quay.io/a/${name}`);
      expect(await repository.tags()).toEqual(['1']);
    }
    await expect(client.repository(registry.host, `${project}/quay.io/a/broken`).resolve('1')).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });

  it('stops where the registry is gone, and goes on from there the next time', async () => {
    const apps = Array.from({ length: 12 }, (_, number) => image([layer(`of ${number}`, 100_000)]));
    const bundle = await bundleOf(Object.fromEntries(apps.map((app, at) => [`quay.io/a/app-${at}:1`, app])));
    const dying = await startRegistryProxy(registry.host);
    let uploads = 0;
    dying.fault = ({ method, path }) => {
      if (method === 'PUT' && path.includes('/blobs/') && ++uploads === 8) void dying.stop();
      return undefined;
    };
    const error: unknown = await loadBundle(into(bundle, { registry: dying.host })).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ exitCode: 75, message: expect.stringMatching(/\d+ were not tried/) as string });
    const result = await loadBundle(into(bundle));
    expect(result.blobs.uploaded + result.blobs.present).toBe(24);
    expect(result.blobs.present).toBeGreaterThanOrEqual(4);
    expect(result.blobs.uploaded).toBeLessThanOrEqual(20);
    for (const [at, app] of apps.entries()) {
      expect(await client.repository(registry.host, `${project}/quay.io/a/app-${at}`).resolve('1')).toMatchObject({
        digest: app.descriptor.digest,
      });
    }
  });

  it('ends with ABORTED when the signal says so', async () => {
    const controller = new AbortController();
    const bundle = await bundleOf({ 'quay.io/a/big:1': image([blob(noise(3_000_000, 'big'), mediaTypes.ociLayer)]) });
    const load = loadBundle(
      into(bundle, {
        signal: controller.signal,
        onEvent: (event) => {
          if (event.type === 'progress') controller.abort();
        },
      }),
    );
    await expect(load).rejects.toMatchObject({ code: 'ABORTED' });
    await expect(client.repository(registry.host, `${project}/quay.io/a/big`).resolve('1')).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });

  it('says of charts too that they could not be loaded', async () => {
    const content = image([layer('not in the bundle either')]);
    const charts = [
      { kind: 'pack', name: 'web', version: '1', reference: 'localhost/spectro-packs/archive/web:1', content },
    ] as const;
    const { document } = await bundleOf({}, charts);
    const damaged = { ...(await bundleOf({ 'quay.io/a/sound:2': image([layer('s')]) })), document };
    await expect(loadBundle(into(damaged))).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: `1 of 1 images and charts could not be loaded into ${proxy.host}/${project} and ${proxy.host}/${packsProject}`,
    });
  });

  it('sends nothing where two images would get one name', async () => {
    const from = proxy.answers.length;
    const bundle = await bundleOf({
      'my.host:5000/app:1': image([layer('1')]),
      'my.host-5000/app:1': image([layer('2')]),
    });
    await expect(loadBundle(into(bundle))).rejects.toMatchObject({ code: 'REFERENCE_INVALID' });
    expect(proxy.answers.length).toBe(from);
  });
});
