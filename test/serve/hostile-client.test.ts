import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import { afterEach, describe, expect, it } from 'vitest';

import { BundleContent, type ServedBundle } from '../../src/serve/bundle-content.ts';
import { blob, type Content, image, noise, sha256 } from '../support/graphs.ts';
import { memoryFolder } from '../support/temporary-folder.ts';
import { Connections, readToEnd, statusLine } from './raw-client.ts';
import { bundleOf, errorCodes, serve, type Served, serveFolder } from './served.ts';

const large = blob(noise(24_000_000, 'large'));
const name = 'docker.io/library/app';
const largePath = `/v2/${name}/blobs/${large.descriptor.digest}`;

let served: Served;
const connections = new Connections();

afterEach(async () => {
  connections.end();
  await served.close();
});

const dial = (): Promise<Socket> => connections.open(served);

function get(path: string, ...headers: readonly string[]): string {
  return [`GET ${path} HTTP/1.1`, 'Host: x', ...headers, '', ''].join('\r\n');
}

async function bundleWith(layer: Content): Promise<BundleContent> {
  return new BundleContent(await bundleOf({ [`${name}:1`]: image([layer]) }));
}

describe('a client that takes its answer slowly', () => {
  /** Takes at most 64 kB every 20 ms, which is what its buffer has, until `wanted` bytes have come, or the end. */
  async function take(socket: Socket, wanted: number): Promise<number> {
    let taken = 0;
    while (!socket.closed && taken < wanted) {
      taken += (socket.read() as Buffer | null)?.byteLength ?? 0;
      await sleep(20);
    }
    return taken;
  }

  it('in drops does not hold its connection for ever, although it never stands still', async () => {
    served = await serve(await bundleWith(large), { stallMs: 1_500, minBytesPerSecond: 50_000_000 });
    const socket = await dial();
    socket.write(get(largePath));
    void take(socket, Infinity);
    await expect.poll(() => served.requests, { timeout: 30_000 }).toHaveLength(1);
    expect(served.requests[0]).toMatchObject({ status: 200, isComplete: false });
    expect(served.errors).toEqual([]);
    expect((await fetch(`${served.url}/v2/`)).status).toBe(200);
  });

  it('may rest, for as long as what it was given gives it time', async () => {
    served = await serve(await bundleWith(large), { stallMs: 500, minBytesPerSecond: 1_000 });
    const socket = await dial();
    socket.write(get(largePath, 'Connection: close'));
    await once(socket, 'readable');
    await sleep(2_000);
    expect(served.requests).toEqual([]);
    const answer = await readToEnd(socket);
    expect(answer.length).toBeGreaterThan(large.descriptor.size);
    await expect.poll(() => served.requests).toHaveLength(1);
    expect(served.requests[0]).toMatchObject({ isComplete: true });
  });

  it('gets all of it where that is not slower than is allowed', async () => {
    const smaller = blob(noise(6_000_000, 'smaller'));
    served = await serve(await bundleWith(smaller), { minBytesPerSecond: 50_000 });
    const socket = await dial();
    socket.write(get(`/v2/${name}/blobs/${smaller.descriptor.digest}`, 'Connection: close'));
    expect(await take(socket, smaller.descriptor.size)).toBeGreaterThanOrEqual(smaller.descriptor.size);
    await expect.poll(() => served.requests).toHaveLength(1);
    expect(served.requests[0]).toMatchObject({ status: 200, isComplete: true });
  });
});

describe('a client that sends requests before it has its answers', () => {
  it('gets them one after the other', async () => {
    served = await serve(await bundleWith(large));
    const socket = await dial();
    socket.write(get(largePath) + get('/v2/_catalog') + get('/v2/none/tags/list', 'Connection: close'));
    const answers = await readToEnd(socket);
    expect(
      sha256(Buffer.from(answers.slice(answers.indexOf('\r\n\r\n') + 4), 'latin1').subarray(0, large.bytes.length)),
    ).toBe(large.descriptor.digest);
    expect(answers.slice(-4_000)).toMatch(/"repositories":\["docker[^]*HTTP\/1\.1 404 /);
    expect(served.requests.map(({ status }) => status)).toEqual([200, 200, 404]);
  });

  it('and goes away leaves nothing that is read for it, and nothing that holds the server', async () => {
    const store = await bundleOf({ [`${name}:1`]: image([large]) });
    const streams: Readable[] = [];
    const bundle: ServedBundle = {
      document: store.document,
      exists: (target) => store.exists(target),
      fetch: async (target, options) => {
        const stream = await store.fetch(target, options);
        if (target.digest === large.descriptor.digest) streams.push(stream);
        return stream;
      },
    };
    served = await serve(new BundleContent(bundle));
    const socket = await dial();
    socket.write(get(largePath).repeat(50));
    await expect.poll(() => streams).toHaveLength(1);
    socket.destroy();
    await served.close();
    expect(streams.map(({ destroyed }) => destroyed)).toEqual([true]);
    expect(served.errors).toEqual([]);
  });

  it('and too many of them loses its connection', async () => {
    served = await serve(await bundleWith(large));
    const socket = await dial();
    socket.pause();
    const closed = once(socket, 'close');
    socket.write(get(largePath) + get('/v2/').repeat(1_000));
    socket.resume();
    await closed;
    expect(served.requests.every(({ isComplete }) => !isComplete)).toBe(true);
    expect((await fetch(`${served.url}/v2/`)).status).toBe(200);
  });
});

describe('a client that opens more connections than are allowed', () => {
  it('has them ended, and gets one when another is free again', async () => {
    served = await serve(await bundleWith(large), { maxConnections: 2 });
    const [one] = [await dial(), await dial()];
    const more = await dial();
    more.write(get('/v2/'));
    expect(await readToEnd(more)).toBe('');
    one.destroy();
    await expect
      .poll(async () => {
        const socket = await dial();
        socket.write(get('/v2/', 'Connection: close'));
        return statusLine(await readToEnd(socket));
      })
      .toBe(200);
  });
});

describe('a request that two servers could read in two ways', () => {
  const body = 'GET /v2/_catalog HTTP/1.1\r\nHost: x\r\n\r\n';
  it.each([
    ['two lengths', `Content-Length: 5\r\nContent-Length: ${body.length}\r\n\r\n`],
    ['a length and chunks', `Content-Length: ${body.length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['chunks that are not the last encoding', 'Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n'],
    ['an encoding that nobody knows', 'Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n'],
    ['a length with a sign', `Content-Length: +${body.length}\r\n\r\n`],
    ['a length in hexadecimal', 'Content-Length: 0x20\r\n\r\n'],
    ['a space before the colon', 'Content-Length : 0\r\n\r\n'],
    ['a header that goes on in the next line', 'X: a\r\n\tTransfer-Encoding: chunked\r\nContent-Length: 0x\r\n\r\n'],
    ['a chunk whose size is none', 'Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n'],
    ['a line that ends with a carriage return alone', 'X: a\rTransfer-Encoding: chunked\r\n\r\n'],
  ])('by %s is refused, and what follows is not answered', async (_what, rest) => {
    served = await serveFolder(await memoryFolder());
    const socket = await dial();
    socket.write(`POST /v2/app/blobs/uploads/ HTTP/1.1\r\nHost: x\r\n${rest}${body}`);
    const answers = await readToEnd(socket);
    expect(answers).not.toContain('repositories');
    expect(answers.match(/HTTP\/1\.1 (400|202)/g)?.at(-1)).toBe('HTTP/1.1 400');
  });

  it('because it has a body where none is expected has its body dropped', async () => {
    served = await serveFolder(await memoryFolder());
    const socket = await dial();
    const last = get('/v2/none/tags/list', 'Connection: close');
    socket.write(get('/v2/', `Content-Length: ${body.length}`) + body + last);
    expect((await readToEnd(socket)).match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 404']);
  });

  it.each(['CONNECT 127.0.0.1:22 HTTP/1.1', 'GET /v2/ HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c'])(
    'as %j changes no protocol',
    async (head) => {
      served = await serveFolder(await memoryFolder());
      const socket = await dial();
      socket.write(`${head}\r\nHost: x\r\n\r\n`);
      socket.end(get('/v2/', 'Connection: close'));
      expect(await readToEnd(socket)).not.toMatch(/^HTTP\/1\.1 1/m);
    },
  );
});

describe('a page in a browser', () => {
  it('changes nothing, and gets nothing, whatever it calls this machine', async () => {
    served = await serveFolder(await memoryFolder());
    for (const [method, path] of [
      ['POST', '/v2/app/blobs/uploads/'],
      ['PUT', '/v2/app/manifests/1'],
      ['OPTIONS', '/v2/app/manifests/1'],
      ['GET', '/v2/_catalog'],
    ] as const) {
      for (const origin of ['https://example.org', served.url, 'null']) {
        const socket = await dial();
        const head = `${method} ${path} HTTP/1.1\r\nHost: rebound.example.org\r\nOrigin: ${origin}\r\n`;
        socket.write(`${head}Content-Length: 0\r\nConnection: close\r\n\r\n`);
        const answer = await readToEnd(socket);
        expect([method, statusLine(answer)]).toEqual([method, 403]);
        expect(answer).toContain('"code":"DENIED"');
        expect(answer).not.toMatch(/access-control|^location/im);
      }
    }
  });
});

describe('an upload that is meant to hold the server', () => {
  async function startUpload(): Promise<string> {
    const response = await fetch(`${served.url}/v2/app/blobs/uploads/`, { method: 'POST' });
    return response.headers.get('location') ?? '';
  }

  async function startSending(path: string): Promise<Socket> {
    const socket = await dial();
    socket.write(`PATCH ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\nExpect: 100-continue\r\n\r\n`);
    await once(socket, 'data');
    return socket;
  }

  it('ends when its time is over, in the middle of a request too', async () => {
    served = await serveFolder(await memoryFolder(), { maxUploadMs: 1_000 });
    const path = await startUpload();
    const socket = await startSending(path);
    const busy = setInterval(() => socket.write('some bytes'), 50);
    try {
      await readToEnd(socket);
    } finally {
      clearInterval(busy);
    }
    await expect.poll(async () => (await fetch(served.url + path)).status).toBe(404);
    expect(served.errors).toEqual([]);
  });

  it('lets a few requests wait for it, and no more', async () => {
    served = await serveFolder(await memoryFolder());
    const path = await startUpload();
    await startSending(path);
    const asked = Array.from({ length: 10 }, () => fetch(served.url + path));
    const refused = await Promise.any(
      asked.map(async (each) => {
        const response = await each;
        if (response.status !== 429) throw new Error(`it is ${response.status}`);
        return response;
      }),
    );
    expect(await errorCodes(refused)).toEqual(['TOOMANYREQUESTS']);
    connections.end();
    const statuses = (await Promise.all(asked)).map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([204, 429]));
  });
});
