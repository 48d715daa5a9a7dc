import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { mediaTypes } from '../../src/content/media-types.ts';
import { BundleContent } from '../../src/serve/bundle-content.ts';
import { blob, image, index, noise, sha256 } from '../support/graphs.ts';
import { bundleOf, errorCodes, serve, type Served } from './served.ts';

const shared = blob(noise(100_000, 'shared'), mediaTypes.ociLayerGzip);
const secret = blob(noise(2_000, 'secret'), mediaTypes.ociLayerGzip);
const nginx = image([shared]);
const nginxArm = image([shared, blob('arm', mediaTypes.ociLayer)]);
const nginxIndex = index([nginx, nginxArm]);
const app = image([shared, secret], { format: 'docker' });
const pinned = image([blob('pinned', mediaTypes.ociLayer)]);
const signature = image([blob('signature')], {
  artifactType: 'application/vnd.example.signature',
  subject: nginxIndex,
  annotations: { by: 'a test' },
});
const sbom = image([blob('sbom')], { artifactType: 'application/vnd.example.sbom', subject: nginxIndex });
const nobody = sha256('nothing that any image has');

let served: Served;

beforeAll(async () => {
  const bundle = await bundleOf({
    'docker.io/library/nginx:1.27': nginxIndex,
    'docker.io/library/nginx:1.26': nginx,
    [`docker.io/library/nginx:1.27@${pinned.descriptor.digest}`]: pinned,
    [`docker.io/library/nginx@${signature.descriptor.digest}`]: signature,
    [`docker.io/library/nginx@${sbom.descriptor.digest}`]: sbom,
    'localhost:5000/team/app:v2': app,
    [`registry.k8s.io/pause@${pinned.descriptor.digest}`]: pinned,
  });
  served = await serve(new BundleContent(bundle));
});
afterAll(() => served.close());

const get = (path: string, init: RequestInit = {}): Promise<Response> => fetch(`${served.url}/v2/${path}`, init);
const json = async (path: string): Promise<unknown> => (await get(path)).json();
const bytesOf = async (response: Response): Promise<Buffer> => Buffer.from(await response.arrayBuffer());

describe('a bundle that is served', () => {
  it('says that it is a registry', async () => {
    for (const path of ['/v2/', '/v2']) {
      const response = await fetch(served.url + path);
      expect(response.status).toBe(200);
      expect(response.headers.get('docker-distribution-api-version')).toBe('registry/2.0');
    }
  });

  it('names repositories after the registries that the images came from', async () => {
    expect(await json('_catalog')).toEqual({
      repositories: ['docker.io/library/nginx', 'localhost-5000/team/app', 'registry.k8s.io/pause'],
    });
  });

  it.each([
    ['docker.io/library/nginx/manifests/1.27', nginxIndex],
    ['docker.io/library/nginx/manifests/1.26', nginx],
    [`docker.io/library/nginx/manifests/${nginxArm.descriptor.digest}`, nginxArm],
    [`docker.io/library/nginx/manifests/${signature.descriptor.digest}`, signature],
    ['localhost-5000/team/app/manifests/v2', app],
    [`registry.k8s.io/pause/manifests/${pinned.descriptor.digest}`, pinned],
  ])('gives the manifest %s, byte by byte', async (path, expected) => {
    const headers = { accept: 'application/vnd.example.something.else' };
    const response = await get(path, { headers });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe(expected.descriptor.mediaType);
    expect(response.headers.get('docker-content-digest')).toBe(expected.descriptor.digest);
    expect(response.headers.get('content-length')).toBe(String(expected.bytes.byteLength));
    expect((await bytesOf(response)).equals(expected.bytes)).toBe(true);

    const head = await get(path, { method: 'HEAD' });
    expect(head.status).toBe(200);
    expect(head.headers.get('content-length')).toBe(String(expected.bytes.byteLength));
    expect(head.headers.get('docker-content-digest')).toBe(expected.descriptor.digest);
    expect(await bytesOf(head)).toHaveLength(0);
  });

  it('keeps a pinned digest reachable, and gives the tag to the image that has it alone', async () => {
    expect((await get(`docker.io/library/nginx/manifests/${pinned.descriptor.digest}`)).status).toBe(200);
    const response = await get('docker.io/library/nginx/manifests/1.27', { method: 'HEAD' });
    expect(response.headers.get('docker-content-digest')).toBe(nginxIndex.descriptor.digest);
  });

  it('gives a blob to every repository that reaches it, and to no other', async () => {
    const digest = shared.descriptor.digest;
    for (const name of ['docker.io/library/nginx', 'localhost-5000/team/app']) {
      const response = await get(`${name}/blobs/${digest}`);
      expect(response.status).toBe(200);
      expect(response.headers.get('docker-content-digest')).toBe(digest);
      expect(response.headers.get('content-type')).toBe('application/octet-stream');
      expect(sha256(await bytesOf(response))).toBe(digest);
    }
    for (const [name, content] of [
      ['registry.k8s.io/pause', shared],
      ['docker.io/library/nginx', secret],
      ['docker.io/library/other', shared],
    ] as const) {
      const response = await get(`${name}/blobs/${content.descriptor.digest}`);
      expect(response.status).toBe(404);
      expect(await errorCodes(response)).toEqual(['BLOB_UNKNOWN']);
    }
  });

  it('gives a manifest to no repository that does not reach it', async () => {
    for (const path of [
      `registry.k8s.io/pause/manifests/${nginx.descriptor.digest}`,
      'registry.k8s.io/pause/manifests/1.27',
      'docker.io/library/nginx/manifests/.not-a-tag',
      `docker.io/library/nginx/manifests/${nobody}`,
      `docker.io/library/nginx/manifests/${shared.descriptor.digest}`,
      'nothing/here/manifests/latest',
    ]) {
      const response = await get(path);
      expect(response.status, path).toBe(404);
      expect(await errorCodes(response)).toEqual(['MANIFEST_UNKNOWN']);
      expect((await get(path, { method: 'HEAD' })).status).toBe(404);
    }
  });

  it('understands a mirror request of containerd', async () => {
    for (const [path, expected] of [
      ['library/nginx/manifests/1.27?ns=docker.io', nginxIndex],
      ['library/nginx/manifests/1.27?ns=registry-1.docker.io', nginxIndex],
      ['team/app/manifests/v2?ns=localhost:5000', app],
      ['team/app/manifests/v2?ns=localhost%3A5000', app],
      // hosts.toml with override_path: the path names the repository as it is here.
      ['docker.io/library/nginx/manifests/1.27?ns=docker.io', nginxIndex],
    ] as const) {
      const response = await get(path);
      expect(response.status, path).toBe(200);
      expect(response.headers.get('docker-content-digest')).toBe(expected.descriptor.digest);
    }
    expect((await get(`team/app/blobs/${secret.descriptor.digest}?ns=localhost:5000`)).status).toBe(200);
    expect((await get('library/nginx/manifests/1.27?ns=quay.io')).status).toBe(404);
    expect((await get('library/nginx/manifests/1.27')).status).toBe(404);
    const response = await get('library/nginx/manifests/1.27?ns=../../etc');
    expect(response.status).toBe(400);
    expect(await errorCodes(response)).toEqual(['NAME_INVALID']);
  });

  it('lists tags', async () => {
    expect(await json('docker.io/library/nginx/tags/list')).toEqual({
      name: 'docker.io/library/nginx',
      tags: ['1.26', '1.27'],
    });
    expect(await json('registry.k8s.io/pause/tags/list')).toEqual({ name: 'registry.k8s.io/pause', tags: [] });
    const response = await get('nothing/here/tags/list');
    expect(response.status).toBe(404);
    expect(await errorCodes(response)).toEqual(['NAME_UNKNOWN']);
  });

  it('lists what refers to an image, filtered where the client wants it', async () => {
    const path = `docker.io/library/nginx/referrers/${nginxIndex.descriptor.digest}`;
    const response = await get(path);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe(mediaTypes.ociIndex);
    expect(response.headers.get('oci-filters-applied')).toBeNull();
    const listed = (await response.json()) as { manifests: { digest: string }[] };
    expect(listed.manifests.map(({ digest }) => digest).sort()).toEqual(
      [signature.descriptor.digest, sbom.descriptor.digest].sort(),
    );

    const filtered = await get(`${path}?artifactType=application%2Fvnd.example.signature`);
    expect(filtered.headers.get('oci-filters-applied')).toBe('artifactType');
    expect(await filtered.json()).toEqual({
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: [
        {
          mediaType: mediaTypes.ociManifest,
          digest: signature.descriptor.digest,
          size: signature.bytes.byteLength,
          artifactType: 'application/vnd.example.signature',
          annotations: { by: 'a test' },
        },
      ],
    });
  });

  it('has an empty list of referrers for what nobody knows, and 400 for what is no digest', async () => {
    for (const name of ['docker.io/library/nginx', 'nothing/here']) {
      const response = await get(`${name}/referrers/${nobody}`);
      expect(response.status).toBe(200);
      expect(await response.json()).toEqual({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] });
    }
    expect((await get('docker.io/library/nginx/referrers/sha256:abc')).status).toBe(400);
  });

  it('is read-only, and says how to change that', async () => {
    const digest = shared.descriptor.digest;
    for (const [method, path] of [
      ['POST', 'docker.io/library/nginx/blobs/uploads/'],
      ['PUT', 'docker.io/library/nginx/manifests/new'],
      ['PATCH', 'docker.io/library/nginx/blobs/uploads/1234'],
      ['DELETE', `docker.io/library/nginx/blobs/${digest}`],
      ['DELETE', 'docker.io/library/nginx/manifests/1.27'],
    ] as const) {
      const response = await get(path, { method, ...(method === 'DELETE' ? {} : { body: 'something' }) });
      expect(response.status, path).toBe(405);
      const { errors } = (await response.json()) as { errors: { code: string; message: string }[] };
      expect(errors.map(({ code }) => code)).toEqual(['UNSUPPORTED']);
      if (method !== 'DELETE') expect(errors[0]?.message).toContain('--writable');
    }
  });

  it('reports each request once', async () => {
    await get(`docker.io/library/nginx/blobs/${shared.descriptor.digest}`, { headers: { range: 'bytes=0-9' } });
    await expect
      .poll(() => served.requests.at(-1))
      .toMatchObject({
        method: 'GET',
        url: `/v2/docker.io/library/nginx/blobs/${shared.descriptor.digest}`,
        status: 206,
        isComplete: true,
        receivedBytes: 0,
        sentBytes: 10,
      });
    expect(served.errors).toEqual([]);
  });
});

describe('a part of a blob', () => {
  const path = `docker.io/library/nginx/blobs/${shared.descriptor.digest}`;
  const size = shared.bytes.byteLength;

  it.each([
    ['bytes=0-0', 0, 1],
    ['bytes=0-', 0, size],
    ['bytes=10-19', 10, 20],
    ['bytes=99999-', size - 1, size],
    ['bytes=99990-200000', 99_990, size],
    ['bytes=-1', size - 1, size],
    ['bytes=-200000', 0, size],
    ['Bytes=5-6', 5, 7],
  ])('is given for %s', async (range, start, end) => {
    const response = await get(path, { headers: { range } });
    expect(response.status).toBe(206);
    expect(response.headers.get('content-range')).toBe(`bytes ${start}-${end - 1}/${size}`);
    expect(response.headers.get('content-length')).toBe(String(end - start));
    expect((await bytesOf(response)).equals(shared.bytes.subarray(start, end))).toBe(true);
  });

  it.each(['bytes=100000-', 'bytes=100000-100001', 'bytes=-0', `bytes=${'9'.repeat(400)}-`])(
    'is refused for %s',
    async (range) => {
      const response = await get(path, { headers: { range } });
      expect(response.status).toBe(416);
      expect(response.headers.get('content-range')).toBe(`bytes */${size}`);
    },
  );

  it.each(['bytes=', 'bytes=-', 'bytes=a-b', 'bytes=5-3', 'bytes=0-1,5-6', 'lines=0-1'])(
    'is not understood in %s: all is given',
    async (range) => {
      const response = await get(path, { headers: { range } });
      expect(response.status).toBe(200);
      expect(sha256(await bytesOf(response))).toBe(shared.descriptor.digest);
    },
  );

  it('is given only where the client means the same content', async () => {
    const etag = (await get(path, { method: 'HEAD' })).headers.get('etag') ?? '';
    expect(etag).toContain(shared.descriptor.digest);
    const asked = (condition: string): Promise<Response> =>
      get(path, { headers: { range: 'bytes=0-9', 'if-range': condition } });
    expect((await asked(etag)).status).toBe(206);
    expect((await asked('"other"')).status).toBe(200);
  });

  it('is not sent at all where the client has it', async () => {
    const etag = `"${shared.descriptor.digest}"`;
    for (const condition of [etag, `"x", W/${etag}`]) {
      const response = await get(path, { headers: { 'if-none-match': condition } });
      expect(response.status).toBe(304);
      expect(await bytesOf(response)).toHaveLength(0);
    }
    expect((await get(path, { headers: { 'if-none-match': '"x"' } })).status).toBe(200);
  });

  it('of a blob without bytes does not exist', async () => {
    const empty = blob('', mediaTypes.ociLayer);
    const server = await serve(new BundleContent(await bundleOf({ 'docker.io/library/empty:1': image([empty]) })));
    try {
      const url = `${server.url}/v2/docker.io/library/empty/blobs/${empty.descriptor.digest}`;
      expect((await fetch(url, { headers: { range: 'bytes=0-' } })).status).toBe(416);
      const whole = await fetch(url);
      expect([whole.status, whole.headers.get('content-length')]).toEqual([200, '0']);
    } finally {
      await server.close();
    }
  });
});

describe('a list in pages', () => {
  const tags = ['v10', 'v2', 'V1', 'v1', 'latest', 'a', 'B', '_x'];
  // Case-insensitive alphanumeric order, as distribution-spec v1.1 says; then by code.
  const sorted = ['_x', 'a', 'B', 'latest', 'V1', 'v1', 'v10', 'v2'];
  let many: Served;

  beforeAll(async () => {
    const images = Object.fromEntries(tags.map((tag) => [`docker.io/library/many:${tag}`, nginx]));
    many = await serve(
      new BundleContent(await bundleOf({ ...images, 'docker.io/a/b:1': nginx, 'quay.io/c:1': nginx })),
    );
  });
  afterAll(() => many.close());

  const list = async (path: string): Promise<{ tags: string[]; link: string | null }> => {
    const response = await fetch(new URL(path, many.url));
    const { tags: listed } = (await response.json()) as { tags: string[] };
    return { tags: listed, link: response.headers.get('link') };
  };

  it('comes whole without n', async () => {
    expect(await list('/v2/docker.io/library/many/tags/list')).toEqual({ tags: sorted, link: null });
  });

  it.each([1, 3, 7, 8, 100])('can be followed by its links, with n=%d', async (n) => {
    const found: string[] = [];
    let path: string | undefined = `/v2/docker.io/library/many/tags/list?n=${n}`;
    while (path !== undefined) {
      const { tags: some, link }: { tags: string[]; link: string | null } = await list(path);
      expect(some.length).toBeLessThanOrEqual(n);
      expect(some.length).toBeGreaterThan(0);
      found.push(...some);
      path = link === null ? undefined : /^<(?<path>[^>]+)>; rel="next"$/.exec(link)?.groups?.path;
    }
    expect(found).toEqual(sorted);
  });

  it('goes on after a tag, whether there is such a tag or not', async () => {
    expect((await list('/v2/docker.io/library/many/tags/list?last=latest')).tags).toEqual(['V1', 'v1', 'v10', 'v2']);
    expect((await list('/v2/docker.io/library/many/tags/list?n=2&last=c')).tags).toEqual(['latest', 'V1']);
  });

  it('is empty, and the last page, for n=0', async () => {
    expect(await list('/v2/docker.io/library/many/tags/list?n=0')).toEqual({ tags: [], link: null });
  });

  it('is refused where n is not a number', async () => {
    for (const n of ['x', '-1', '1e9', '']) {
      expect((await fetch(`${many.url}/v2/docker.io/library/many/tags/list?n=${n}`)).status).toBe(400);
    }
  });

  it('is how repositories are listed too, and the namespace of a mirror stays in the link', async () => {
    const response = await fetch(`${many.url}/v2/_catalog?n=2`);
    expect(await response.json()).toEqual({ repositories: ['docker.io/a/b', 'docker.io/library/many'] });
    expect(response.headers.get('link')).toBe('</v2/_catalog?n=2&last=docker.io%2Flibrary%2Fmany>; rel="next"');
    const { tags: mirrored, link } = await list('/v2/library/many/tags/list?ns=docker.io&n=1');
    expect(mirrored).toEqual(['_x']);
    expect(link).toContain('ns=docker.io');
  });
});

describe('a bundle with two repositories that would have one name', () => {
  it('is refused', async () => {
    const bundle = await bundleOf({ 'my.host:5000/app:1': nginx, 'my.host-5000/app:2': app });
    expect(() => new BundleContent(bundle)).toThrow(expect.objectContaining({ code: 'REFERENCE_INVALID' }));
  });
});
