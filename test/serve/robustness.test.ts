import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { mediaTypes } from '../../src/content/media-types.ts';
import { EdgeBundleError } from '../../src/errors.ts';
import { BundleContent, type ServedBundle } from '../../src/serve/bundle-content.ts';
import { blob, image, index, noise, pushAll, sha256 } from '../support/graphs.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { memoryFolder } from '../support/temporary-folder.ts';
import { Connections, readToEnd, statusLine } from './raw-client.ts';
import { bundleOf, documentOf, errorCodes, serve, type Served, serveFolder } from './served.ts';

const layer = blob(noise(400_000, 'layer'), mediaTypes.ociLayerGzip);
const app = image([layer]);
const reference = 'docker.io/library/app:1';

let folder: string;
let served: Served;
const connections = new Connections();

beforeEach(async () => {
  folder = await memoryFolder();
});
afterEach(async () => {
  connections.end();
  await served.close();
});

const dial = (): Promise<Socket> => connections.open(served);

async function raw(text: string): Promise<string> {
  const socket = await dial();
  socket.write(text);
  return readToEnd(socket);
}

async function startUpload(name = 'app'): Promise<string> {
  const response = await fetch(`${served.url}/v2/${name}/blobs/uploads/`, { method: 'POST' });
  expect(response.status).toBe(202);
  return response.headers.get('location') ?? '';
}

/** Starts a PATCH of `length` bytes, and waits until the server is at work on it. */
async function startSending(path: string, length: number): Promise<Socket> {
  const socket = await dial();
  socket.write(`PATCH ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\nExpect: 100-continue\r\n\r\n`);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(statusLine(answer.toString())).toBe(100);
  return socket;
}

async function uploadFiles(): Promise<readonly string[]> {
  return readdir(join(folder, 'uploads')).catch(() => []);
}

describe('a hostile path', () => {
  beforeEach(async () => {
    served = await serveFolder(folder);
  });

  it.each([
    '/v2/../../etc/passwd',
    '/v2/%2e%2e/%2e%2e/manifests/latest',
    '/v2/../manifests/latest',
    '/v2/a/../b/manifests/latest',
    '/v2/a%2fb/manifests/latest',
    '/v2/a%2Fb/tags/list',
    '/v2/a%00b/manifests/latest',
    '/v2/a/manifests/%00',
    '/v2/a/manifests/..%2f..%2fetc%2fpasswd',
    '/v2/a/blobs/sha256:..%2f..%2f..%2fetc%2fpasswd',
    `/v2/a/blobs/sha256%3A${'a'.repeat(64)}%2F..`,
    `/v2/a/blobs/sha256:${'A'.repeat(64)}`,
    '/v2/a/blobs/uploads/../../../etc/passwd',
    '/v2/a/blobs/uploads/..%2f..%2fpasswd',
    '/v2//manifests/latest',
    '/v2/a//b/manifests/latest',
    '/v2/a/manifests/',
    '/v2/A/manifests/latest',
    '/v2/-a/tags/list',
    '/v2/a/%zz/manifests/latest',
    '/v2/a/manifests/%ff%fe',
    `/v2/${'a'.repeat(256)}/tags/list`,
    `/v2/${'a/'.repeat(2_000)}a/tags/list`,
    '/v2/_catalog/..',
    '/v1/_ping',
    '/',
    '//v2/',
    '*',
    'http://127.0.0.1/v2/',
    '/v2/a/referrers/sha256:x',
    '/v2/manifests/latest',
    '/v2/blobs/uploads/',
    '/v2/tags/list',
  ])('%s gets a plain refusal', async (path) => {
    for (const method of ['GET', 'PUT', 'POST', 'DELETE']) {
      const answer = await raw(
        `${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
      );
      expect([400, 404, 405], `${method} ${path}`).toContain(statusLine(answer));
      expect(answer).toContain('"errors":[{"code":');
    }
    expect((await readdir(folder)).sort()).toEqual(['index.json', 'oci-layout', 'serve.lock']);
    expect(served.errors).toEqual([]);
  });

  it('of an encoded colon in a digest is the same digest', async () => {
    const path = await startUpload();
    const query = `digest=${encodeURIComponent(layer.descriptor.digest)}`;
    const init = { method: 'PUT', body: new Uint8Array(layer.bytes) };
    expect((await fetch(`${served.url}${path}?${query}`, init)).status).toBe(201);
    const encoded = encodeURIComponent(layer.descriptor.digest);
    expect((await fetch(`${served.url}/v2/app/blobs/${encoded}`)).status).toBe(200);
  });

  it('or header that is too long is refused by its length', async () => {
    const long = 'a'.repeat(20_000);
    expect(statusLine(await raw(`GET /v2/${long} HTTP/1.1\r\nHost: x\r\n\r\n`))).toBe(431);
    expect(statusLine(await raw(`GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Long: ${long}\r\n\r\n`))).toBe(431);
    expect((await fetch(`${served.url}/v2/`)).status).toBe(200);
  });

  it('or method that nobody knows is refused', async () => {
    expect(statusLine(await raw('TRACE /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'))).toBe(405);
    expect(statusLine(await raw('NONSENSE /v2/ HTTP/1.1\r\nHost: x\r\n\r\n'))).toBe(400);
    const response = await fetch(`${served.url}/v2/app/manifests/1`, { method: 'OPTIONS' });
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD, PUT']);
  });
});

describe('a connection', () => {
  it.each(['', 'GET /v2/ HTTP/1.1\r\nHost: x\r\n'])('that sends %j and no more is ended', async (text) => {
    served = await serveFolder(folder, { stallMs: 1_000 });
    const socket = await dial();
    socket.write(text);
    const answer = await readToEnd(socket);
    expect(statusLine(answer)).toBe(408);
    expect((await fetch(`${served.url}/v2/`)).status).toBe(200);
  });

  it('is kept between requests', async () => {
    served = await serveFolder(folder, { stallMs: 1_000 });
    const socket = await dial();
    for (let count = 0; count < 3; count += 1) {
      if (count > 0) await sleep(1_500);
      socket.write('GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n');
      const [answer] = (await once(socket, 'data')) as [Buffer];
      expect(statusLine(answer.toString())).toBe(200);
    }
  });
});

describe('an upload', () => {
  const { bytes, descriptor } = layer;
  const put = (path: string): Promise<Response> =>
    fetch(`${served.url}${path}?digest=${descriptor.digest}`, { method: 'PUT', body: new Uint8Array(bytes) });

  it('that stalls loses its connection, and goes on from what came', async () => {
    served = await serveFolder(folder, { stallMs: 1_000 });
    const path = await startUpload();
    const socket = await startSending(path, bytes.byteLength);
    socket.write(bytes.subarray(0, 100_000));
    expect(await readToEnd(socket)).toBe('');
    await expect.poll(() => served.requests.find(({ method }) => method === 'PATCH')).toMatchObject({ status: 0 });
    const told = await fetch(served.url + path);
    expect([told.status, told.headers.get('range')]).toEqual([204, '0-99999']);
    const rest = { method: 'PUT', body: new Uint8Array(bytes.subarray(100_000)) };
    expect((await fetch(`${served.url}${path}?digest=${descriptor.digest}`, rest)).status).toBe(201);
    expect(served.errors).toEqual([]);
  });

  it('that is slow but goes on is taken, however long it lasts', async () => {
    served = await serveFolder(folder, { stallMs: 1_500 });
    const path = await startUpload();
    const slowly = async function* (): AsyncGenerator<Buffer> {
      for (let at = 0; at < bytes.byteLength; at += 50_000) {
        await sleep(300);
        yield bytes.subarray(at, at + 50_000);
      }
    };
    const body = ReadableStream.from(slowly());
    const init = { method: 'PUT', body, duplex: 'half' } as const;
    expect((await fetch(`${served.url}${path}?digest=${descriptor.digest}`, init)).status).toBe(201);
  });

  it('of one byte now and then is ended, and what came is kept', async () => {
    served = await serveFolder(folder, { stallMs: 3_000, minBytesPerSecond: 100_000 });
    const path = await startUpload();
    const socket = await startSending(path, bytes.byteLength);
    let sent = 0;
    const trickle = setInterval(() => socket.write(bytes.subarray(sent, ++sent)), 100);
    try {
      expect(statusLine(await readToEnd(socket))).toBe(408);
    } finally {
      clearInterval(trickle);
    }
    await expect.poll(() => served.requests.find(({ method }) => method === 'PATCH')).toMatchObject({ status: 408 });
    expect((await fetch(served.url + path)).status).toBe(204);
    expect(served.errors).toEqual([]);
  });

  it('ends after its time, however often its client comes back', async () => {
    served = await serveFolder(folder, { maxUploadMs: 1_000 });
    const path = await startUpload();
    await expect
      .poll(async () => (await fetch(served.url + path, { method: 'PATCH', body: 'x' })).status, { timeout: 30_000 })
      .toBe(404);
    expect(await errorCodes(await fetch(served.url + path))).toEqual(['BLOB_UPLOAD_UNKNOWN']);
  });

  it('whose client goes away keeps what came', async () => {
    served = await serveFolder(folder);
    const path = await startUpload();
    const socket = await startSending(path, bytes.byteLength);
    socket.end(bytes.subarray(0, 70_000));
    await expect
      .poll(async () => (await fetch(served.url + path)).headers.get('range'), { interval: 20 })
      .toBe('0-69999');
    await expect.poll(() => served.requests.find(({ method }) => method === 'PATCH')?.receivedBytes).toBe(70_000);
    expect(served.errors).toEqual([]);
  });

  it('is the work of one request at a time: the next one waits', async () => {
    served = await serveFolder(folder);
    const path = await startUpload();
    const socket = await startSending(path, bytes.byteLength);
    const finished = fetch(`${served.url}${path}?digest=${descriptor.digest}`, { method: 'PUT' });
    const told = fetch(served.url + path);
    socket.write(bytes);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(statusLine(answer.toString())).toBe(202);
    expect((await finished).status).toBe(201);
    expect([204, 404]).toContain((await told).status);
    expect(
      sha256(Buffer.from(await (await fetch(`${served.url}/v2/app/blobs/${descriptor.digest}`)).arrayBuffer())),
    ).toBe(descriptor.digest);
  });

  it('that nobody goes on with is removed, with its file', async () => {
    served = await serveFolder(folder, { uploadIdleMs: 2_000 });
    const path = await startUpload();
    await fetch(served.url + path, { method: 'PATCH', body: 'some bytes' });
    expect(await uploadFiles()).toHaveLength(1);
    await expect.poll(uploadFiles).toEqual([]);
    const gone = await put(path);
    expect([gone.status, await errorCodes(gone)]).toEqual([404, ['BLOB_UPLOAD_UNKNOWN']]);
  });

  it('is refused where too many are open, until one ends', async () => {
    served = await serveFolder(folder, { maxUploads: 2 });
    const path = await startUpload();
    await startUpload();
    const refused = await fetch(`${served.url}/v2/app/blobs/uploads/`, { method: 'POST' });
    expect([refused.status, await errorCodes(refused)]).toEqual([429, ['TOOMANYREQUESTS']]);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await put(path)).status).toBe(201);
    await startUpload();
  });

  it('of more than the limit is refused, and nothing of it stays', async () => {
    served = await serveFolder(folder, { maxBlobBytes: 100_000 });
    const path = await startUpload();
    await fetch(served.url + path, { method: 'PATCH', body: new Uint8Array(bytes.subarray(0, 60_000)) });
    const refused = await put(path);
    expect([refused.status, await errorCodes(refused)]).toEqual([413, ['SIZE_INVALID']]);
    expect(await uploadFiles()).toEqual([]);
    expect((await fetch(served.url + path)).status).toBe(404);
  });

  it('to nowhere is answered although its body is still coming, and the connection ends', async () => {
    served = await serveFolder(folder);
    const socket = await dial();
    socket.write(`PUT /v2/app/blobs/uploads/none?digest=${descriptor.digest} HTTP/1.1\r\nHost: x\r\n`);
    socket.write('Content-Length: 1000000000\r\n\r\nthe first bytes');
    const answer = await readToEnd(socket);
    expect(statusLine(answer)).toBe(404);
  });

  it('that does not fit on the disk is answered with 507', async () => {
    const content = {
      store: await bundleOf({ [reference]: app }),
      writer: {
        uploadFolder: folder,
        addBlob: () => Promise.reject(new EdgeBundleError('NO_SPACE', `no space in ${folder}`)),
        mountBlob: () => Promise.resolve(),
        putManifest: () => Promise.resolve(),
      },
      repositories: () => Promise.resolve([]),
      repository: () => Promise.resolve(undefined),
      close: () => Promise.resolve(),
    };
    served = await serve(content);
    const response = await put(await startUpload());
    expect(response.status).toBe(507);
    expect(await response.text()).not.toContain(folder);
    expect(served.errors).toEqual([expect.objectContaining({ code: 'NO_SPACE' })]);
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('content that cannot be read', () => {
  /** A bundle whose layer breaks after `afterBytes`, or is longer than it should be. */
  async function brokenBundle(afterBytes: number, thenError: Error | undefined): Promise<ServedBundle> {
    const store = await bundleOf({ [reference]: app });
    const fetchWhole = store.fetch.bind(store);
    return {
      document: documentOf({ [reference]: app }),
      exists: (target) => store.exists(target),
      fetch: async (target, options) => {
        if (target.digest !== layer.descriptor.digest) return fetchWhole(target, options);
        return Readable.from(
          (function* () {
            yield layer.bytes.subarray(0, afterBytes);
            if (thenError !== undefined) throw thenError;
          })(),
        );
      },
    };
  }
  const layerPath = `/v2/docker.io/library/app/blobs/${layer.descriptor.digest}`;

  it.each([
    ['fails at once', 0, new EdgeBundleError('BUNDLE_INVALID', 'a frame is damaged')],
    ['fails in the middle', 200_000, new EdgeBundleError('BUNDLE_INVALID', 'a frame is damaged')],
    ['ends early', 200_000, undefined],
  ])('and %s is a body that is cut off, and never a success', async (_how, afterBytes, error) => {
    served = await serve(new BundleContent(await brokenBundle(afterBytes, error)));
    await expect(fetch(served.url + layerPath).then((response) => response.arrayBuffer())).rejects.toThrow();
    await expect.poll(() => served.errors).toHaveLength(1);
    expect(served.errors[0]).toMatchObject({ code: error?.code ?? 'SIZE_MISMATCH' });
    await expect.poll(() => served.requests.at(-1)?.isComplete).toBe(false);
    expect((await fetch(`${served.url}/v2/docker.io/library/app/manifests/1`)).status).toBe(200);
  });

  it('is reported once, and not where only the client went away', async () => {
    served = await serve(new BundleContent(await bundleOf({ [reference]: image([blob(noise(20_000_000, 'large'))]) })));
    const { digest } = blob(noise(20_000_000, 'large')).descriptor;
    const socket = await dial();
    socket.write(`GET /v2/docker.io/library/app/blobs/${digest} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await once(socket, 'data');
    socket.destroy();
    await expect.poll(() => served.requests).toHaveLength(1);
    expect(served.requests[0]?.isComplete).toBe(false);
    expect(served.errors).toEqual([]);
  });

  it('by a client that stops reading does not hold the connection for ever', async () => {
    served = await serve(
      new BundleContent(await bundleOf({ [reference]: image([blob(noise(20_000_000, 'large'))]) })),
      { stallMs: 1_000, minBytesPerSecond: 50_000_000 },
    );
    const { digest } = blob(noise(20_000_000, 'large')).descriptor;
    const socket = await dial();
    socket.write(`GET /v2/docker.io/library/app/blobs/${digest} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await once(socket, 'data');
    socket.pause();
    await expect.poll(() => served.requests).toHaveLength(1);
    expect(served.requests[0]?.isComplete).toBe(false);
  });

  it('of a damaged manifest hides no other image, and what it may have named is no 404', async () => {
    const good = image([blob('good', mediaTypes.ociLayer)]);
    const store = await bundleOf({ 'docker.io/library/app:good': good, [reference]: app });
    let isDamaged = true;
    const bundle: ServedBundle = {
      document: store.document,
      exists: (target) => store.exists(target),
      fetch: async (target, options) => {
        const content = await store.fetch(target, options);
        if (!isDamaged || target.digest !== app.descriptor.digest) return content;
        content.destroy();
        return Readable.from([Buffer.alloc(app.bytes.byteLength, 'x')]);
      },
    };
    served = await serve(new BundleContent(bundle));
    const get = (path: string): Promise<Response> => fetch(`${served.url}/v2/docker.io/library/app/${path}`);
    expect((await get('manifests/good')).status).toBe(200);
    for (const child of good.children) expect((await get(`blobs/${child.descriptor.digest}`)).status).toBe(200);
    expect(served.errors).toEqual([]);
    for (const path of ['manifests/1', `blobs/${layer.descriptor.digest}`, `referrers/${good.descriptor.digest}`]) {
      const failed = await get(path);
      expect([failed.status, await errorCodes(failed)]).toEqual([500, ['UNKNOWN']]);
    }
    expect(served.errors.map((error) => (error as EdgeBundleError).code)).toEqual(Array(3).fill('DIGEST_MISMATCH'));
    isDamaged = false;
    expect((await get(`blobs/${layer.descriptor.digest}`)).status).toBe(200);
    expect((await get(`blobs/${sha256('unknown')}`)).status).toBe(404);
  });

  it('of an index whose other platforms were left behind is 404 for those alone', async () => {
    const absent = image([blob('absent', mediaTypes.ociLayer)]);
    const multi = index([app, absent]);
    const store = new MemoryStore();
    await pushAll(store, app);
    await store.push(multi.descriptor, Readable.from([multi.bytes]));
    const document = documentOf({ 'docker.io/library/app:multi': multi });
    served = await serve(new BundleContent(Object.assign(store, { document })));
    const status = async (path: string): Promise<number> =>
      (await fetch(`${served.url}/v2/docker.io/library/app/${path}`, { method: 'HEAD' })).status;
    expect(await status('manifests/multi')).toBe(200);
    expect(await status(`blobs/${layer.descriptor.digest}`)).toBe(200);
    expect(await status(`manifests/${absent.descriptor.digest}`)).toBe(404);
    expect(await status(`blobs/${absent.children[0]?.descriptor.digest ?? ''}`)).toBe(404);
    expect(served.errors).toEqual([]);
  });
});

describe('a server', () => {
  it('listens on the loopback address where nothing else is said', async () => {
    served = await serveFolder(folder);
    expect(served.address.address).toBe('127.0.0.1');
    expect(served.url).toBe(`http://127.0.0.1:${served.address.port}`);
  });

  it('says so where its address is taken, or its certificate is none', async () => {
    served = await serveFolder(folder);
    const content = new BundleContent(await bundleOf({ [reference]: app }));
    await expect(serve(content, { port: served.address.port })).rejects.toMatchObject({ code: 'FAILED' });
    await expect(serve(content, { tls: { cert: 'x', key: 'y' } })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('that is closed ends all connections, and leaves nothing behind', async () => {
    served = await serveFolder(folder);
    const path = await startUpload();
    const [sending, waiting] = [await startSending(path, 1_000_000), await dial()];
    sending.write('some bytes');
    const closed = Promise.all([readToEnd(sending), readToEnd(waiting)]);
    await served.close();
    await closed;
    expect((await readdir(folder)).sort()).toEqual(['index.json', 'oci-layout']);
    served = await serveFolder(folder);
    expect((await fetch(served.url + path)).status).toBe(404);
  });
});
