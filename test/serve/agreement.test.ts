import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { mediaTypes } from '../../src/content/media-types.ts';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { blob, type Content, contentsOf, image, index, noise, sha256 } from '../support/graphs.ts';
import { memoryFolder } from '../support/temporary-folder.ts';
import { type Served, serveFolder } from './served.ts';

/**
 * The steps of the conformance tests of distribution-spec v1.1, as far as a registry of that version and docker-registry
 * 2.8, which is older, have to agree. Each request goes to both.
 */
const layer = blob(noise(50_000, 'layer'), mediaTypes.ociLayerGzip);
const app = image([layer]);
const docker = image([blob(noise(500, 'docker'), mediaTypes.dockerLayerGzip)], { format: 'docker' });
const multi = index([app]);
const nobody = sha256('nothing that was ever pushed');

let theirs: DockerRegistry;
let ours: Served;
let folder: string;

beforeAll(async () => {
  folder = await memoryFolder();
  [theirs, ours] = await Promise.all([startDockerRegistry(), serveFolder(folder)]);
});
afterAll(async () => {
  await ours.close();
  await theirs.stop();
});

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | null>>;
  readonly codes: readonly string[];
  readonly body: string;
}

/** The headers that clients rely on. `Location` is compared without what a server may choose freely. */
const compared = ['content-type', 'content-length', 'docker-content-digest', 'content-range', 'range', 'etag'];

async function ask(base: string, method: string, path: string, init: RequestInit): Promise<[Response, Answer]> {
  const response = await fetch(new URL(path, base), { method, ...init });
  // docker-registry announces the whole blob with 416, and then ends the connection.
  if (response.status === 416) {
    await response.body?.cancel();
    return [response, { status: 416, headers: {}, codes: [], body: '' }];
  }
  const bytes = Buffer.from(await response.arrayBuffer());
  const isError = response.status >= 400;
  const withoutParameters = (name: string): string | null => response.headers.get(name)?.split(';')[0] ?? null;
  const headers = Object.fromEntries(compared.map((name) => [name, withoutParameters(name)] as const));
  const answer: Answer = isError
    ? { status: response.status, headers: {}, codes: codesOf(bytes), body: '' }
    : { status: response.status, headers, codes: [], body: sha256(bytes) };
  return [response, answer];
}

function codesOf(bytes: Buffer): readonly string[] {
  if (bytes.byteLength === 0) return [];
  const { errors } = JSON.parse(bytes.toString()) as { errors: { code: string }[] };
  return [...new Set(errors.map(({ code }) => code))];
}

/** Asks both, expects the same answer, and gives their addresses for what follows. */
async function both(method: string, path: string | Locations, init: RequestInit = {}): Promise<Locations & Answer> {
  const [our, their] = typeof path === 'string' ? [path, path] : [path.our, path.their];
  const [[ourResponse, ourAnswer], [theirResponse, theirAnswer]] = await Promise.all([
    ask(ours.url, method, our, init),
    ask(theirs.url, method, their, init),
  ]);
  expect(ourAnswer, `${method} ${our}`).toEqual(theirAnswer);
  const location = (response: Response): string => response.headers.get('location') ?? '';
  return { ...ourAnswer, our: location(ourResponse), their: location(theirResponse) };
}

interface Locations {
  readonly our: string;
  readonly their: string;
}

function withQuery(locations: Locations, query: string): Locations {
  const add = (location: string): string => location + (location.includes('?') ? '&' : '?') + query;
  return { our: add(locations.our), their: add(locations.their) };
}

const body = (bytes: Buffer): RequestInit => ({ body: new Uint8Array(bytes) });

async function upload(name: string, content: Content): Promise<void> {
  const started = await both('POST', `/v2/${name}/blobs/uploads/`);
  expect(started.status).toBe(202);
  const path = withQuery(started, `digest=${content.descriptor.digest}`);
  expect(await both('PUT', path, body(content.bytes))).toMatchObject({ status: 201 });
}

function putManifest(name: string, reference: string, content: Content): Promise<Answer> {
  const headers = { 'content-type': content.descriptor.mediaType };
  return both('PUT', `/v2/${name}/manifests/${reference}`, { headers, ...body(content.bytes) });
}

describe('our registry and docker-registry give the same answer', () => {
  it('where nothing was pushed yet', async () => {
    for (const method of ['GET', 'HEAD']) {
      expect((await both(method, '/v2/')).status).toBe(200);
      expect((await both(method, `/v2/app/blobs/${nobody}`)).status).toBe(404);
      expect((await both(method, '/v2/app/manifests/v1')).status).toBe(404);
      expect((await both(method, `/v2/app/manifests/${nobody}`)).status).toBe(404);
    }
    expect((await both('GET', '/v2/app/tags/list')).status).toBe(404);
    expect((await both('GET', '/v2/app/blobs/sha256:abc')).status).toBe(400);
  });

  it('to uploads in one piece and in several, and to what goes wrong with them', async () => {
    await upload('app', layer);
    const started = await both('POST', '/v2/app/blobs/uploads/');
    const patched = await both('PATCH', started, body(layer.bytes.subarray(0, 20_000)));
    expect(patched.headers.range).toBe('0-19999');
    expect((await both('GET', patched)).status).toBe(204);
    const more = await both('PATCH', patched, body(layer.bytes.subarray(20_000)));
    expect((await both('PUT', withQuery(more, `digest=${layer.descriptor.digest}`))).status).toBe(201);
    expect((await both('GET', more)).status).toBe(404);

    const wrong = await both('POST', '/v2/app/blobs/uploads/');
    expect((await both('PUT', withQuery(wrong, `digest=${nobody}`), body(layer.bytes))).status).toBe(400);
    const cancelled = await both('POST', '/v2/app/blobs/uploads/');
    expect((await both('DELETE', cancelled)).status).toBe(204);
    expect((await both('GET', cancelled)).status).toBe(404);
  });

  it('to mounts', async () => {
    const digest = layer.descriptor.digest;
    expect((await both('POST', `/v2/third/blobs/uploads/?mount=${nobody}&from=app`)).status).toBe(202);
    expect((await both('POST', `/v2/third/blobs/uploads/?mount=${digest}&from=never`)).status).toBe(202);
    expect((await both('HEAD', `/v2/third/blobs/${digest}`)).status).toBe(404);
    expect((await both('POST', `/v2/third/blobs/uploads/?mount=${digest}&from=app`)).status).toBe(201);
    expect((await both('HEAD', `/v2/third/blobs/${digest}`)).status).toBe(200);
  });

  it('to manifests', async () => {
    for (const content of contentsOf(app, docker)) if (content.children.length === 0) await upload('app', content);
    expect((await putManifest('app', 'v1', app)).status).toBe(201);
    expect((await putManifest('app', 'v1', app)).status).toBe(201);
    expect((await putManifest('app', docker.descriptor.digest, docker)).status).toBe(201);
    expect((await putManifest('app', 'multi', multi)).status).toBe(201);
    expect((await putManifest('other', 'v1', app)).status).toBe(400);
    expect((await putManifest('app', nobody, app)).status).toBe(400);
    const malformed = { headers: { 'content-type': mediaTypes.ociManifest }, body: '{' };
    expect((await both('PUT', '/v2/app/manifests/bad', malformed)).status).toBe(400);
  });

  it('to pulls', async () => {
    const accept = { headers: { accept: Object.values(mediaTypes).join(', ') } };
    for (const method of ['GET', 'HEAD']) {
      for (const reference of ['v1', 'multi', app.descriptor.digest, docker.descriptor.digest]) {
        expect((await both(method, `/v2/app/manifests/${reference}`, accept)).status).toBe(200);
      }
      expect((await both(method, `/v2/app/blobs/${layer.descriptor.digest}`)).status).toBe(200);
    }
    expect((await both('GET', `/v2/app/blobs/${app.descriptor.digest}`)).status).toBe(404);
  });

  it.each(['bytes=0-0', 'bytes=100-', 'bytes=-7', 'bytes=49999-99999', 'bytes=50000-', 'bytes=60000-60001'])(
    'to a blob with Range: %s',
    async (range) => {
      const answer = await both('GET', `/v2/app/blobs/${layer.descriptor.digest}`, { headers: { range } });
      expect([206, 416]).toContain(answer.status);
    },
  );

  it('to a client that has the content already', async () => {
    const etag = `"${app.descriptor.digest}"`;
    const init = { headers: { 'if-none-match': etag, accept: mediaTypes.ociManifest } };
    const [mine, their] = await Promise.all(
      [ours.url, theirs.url].map((url) => fetch(`${url}/v2/app/manifests/v1`, init)),
    );
    expect([mine?.status, their?.status]).toEqual([304, 304]);
  });

  it('to lists', async () => {
    const read = async (url: string, path: string): Promise<unknown> => (await fetch(url + path)).json();
    expect(await read(ours.url, '/v2/app/tags/list')).toEqual({ name: 'app', tags: ['multi', 'v1'] });
    // docker-registry 2.8 has them in no order.
    expect(await read(theirs.url, '/v2/app/tags/list')).toEqual({
      name: 'app',
      tags: expect.arrayContaining(['multi', 'v1']) as unknown,
    });
  });
});
