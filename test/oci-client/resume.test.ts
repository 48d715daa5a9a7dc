import type { ServerResponse } from 'node:http';

import { describe, expect, it } from 'vitest';

import type { RetryEvent } from '../../src/oci-client/retry-policy.ts';
import { blob, noise } from '../support/graphs.ts';
import { readAll } from '../support/store-contract.ts';
import { reply, startScriptedServer } from '../support/scripted-server.ts';
import { type RangedRequest, rangedContent } from './ranged-content.ts';
import { useServedRepository } from './served-repository.ts';

const serve = useServedRepository();
const { descriptor, bytes } = blob(noise(1_000_000, 'resumed'));
const path = `GET /v2/team/app/blobs/${descriptor.digest}`;
const soon = { retries: 3, retryBaseMs: 2 };

describe('a body that breaks off', () => {
  it('goes on from the byte after the last one, again and again while something comes', async () => {
    const content = rangedContent(bytes, { handle: (asked) => asked.breakOff(70_001) });
    const { repository } = await serve({ [path]: content }, soon);
    expect((await readAll(await repository.fetch(descriptor))).equals(bytes)).toBe(true);
    expect(content.asked.map(({ start }) => start)).toEqual(Array.from({ length: 15 }, (_, number) => number * 70_001));
  });

  it.each<[string, (asked: RangedRequest) => void, { bodyTimeoutMs?: number }?]>([
    [
      'is reset',
      ({ start, response }) => {
        response.writeHead(200, { 'Content-Length': bytes.byteLength });
        response.write(bytes.subarray(start, 100_000), () => setTimeout(() => response.socket?.resetAndDestroy(), 20));
      },
    ],
    [
      'stalls',
      ({ start, response }) => {
        response.writeHead(200, { 'Content-Length': bytes.byteLength });
        response.write(bytes.subarray(start, 100_000));
      },
      { bodyTimeoutMs: 1_000 },
    ],
    [
      'ends early',
      ({ start, response }) => {
        response.write(bytes.subarray(start, 100_000));
        response.end();
      },
    ],
  ])('goes on where it %s', async (_how, fail, options = {}) => {
    const content = rangedContent(bytes, { handle: (asked) => (asked.number === 0 ? fail(asked) : asked.answer()) });
    const { repository } = await serve({ [path]: content }, { ...soon, ...options });
    expect((await readAll(await repository.fetch(descriptor))).equals(bytes)).toBe(true);
    expect(content.asked.map(({ start, end }) => [start, end])).toEqual([
      [0, 1_000_000],
      [100_000, 1_000_000],
    ]);
  });

  it('goes on within the range that was asked for', async () => {
    const content = rangedContent(bytes, { handle: (asked) => asked.breakOff(100_000) });
    const { repository } = await serve({ [path]: content }, soon);
    const range = { start: 50_000, end: 310_000 };
    const got = await readAll(await repository.fetch(descriptor, { range }));
    expect(got.equals(bytes.subarray(50_000, 310_000))).toBe(true);
    expect(content.asked.map(({ start, end }) => [start, end])).toEqual([
      [50_000, 310_000],
      [150_000, 310_000],
      [250_000, 310_000],
    ]);
  });

  it('is whole where it breaks off after its last byte', async () => {
    const content = rangedContent(bytes, {
      handle: ({ number, start, response, breakOff }) => {
        if (number === 0) {
          breakOff(100_000);
          return;
        }
        const range = { 'Content-Range': `bytes ${start}-${bytes.byteLength - 1}/${bytes.byteLength}` };
        response.writeHead(206, { ...range, 'Content-Length': bytes.byteLength - start + 10 });
        response.write(bytes.subarray(start), () => response.destroy());
      },
    });
    const { repository } = await serve({ [path]: content }, soon);
    expect((await readAll(await repository.fetch(descriptor))).equals(bytes)).toBe(true);
    expect(content.asked).toHaveLength(2);
  });

  it('is given up where nothing comes any more, with what came before', async () => {
    const content = rangedContent(bytes, { handle: (asked) => asked.breakOff(asked.number === 0 ? 100_000 : 0) });
    const { repository } = await serve({ [path]: content }, soon);
    await expect(readAll(await repository.fetch(descriptor))).rejects.toMatchObject({
      code: 'TRANSFER_INCOMPLETE',
      exitCode: 75,
      message: expect.stringContaining('100000 of 1000000 bytes') as string,
    });
    expect(content.asked).toHaveLength(4);
  });

  it('counts answers that fail and bodies that break off together', async () => {
    const content = rangedContent(bytes, {
      handle: ({ number, response, breakOff }) => {
        if (number % 2 === 0) breakOff(number === 0 ? 1000 : 0);
        else response.writeHead(503).end();
      },
    });
    const { repository } = await serve({ [path]: content }, soon);
    await expect(readAll(await repository.fetch(descriptor))).rejects.toMatchObject({ exitCode: 75 });
    expect(content.asked).toHaveLength(4);
  });

  it('ends at once when its reader leaves while it waits', async () => {
    const content = rangedContent(bytes, { handle: (asked) => asked.breakOff(1000) });
    const events: RetryEvent[] = [];
    const options = { retryBaseMs: 60_000, retryMaxMs: 60_000, onRetry: (event: RetryEvent) => events.push(event) };
    const { repository } = await serve({ [path]: content }, { retries: 3, ...options });
    const stream = await repository.fetch(descriptor);
    stream.resume();
    while (events.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    stream.destroy();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(content.asked).toHaveLength(1);
  });
});

describe('what the server says of its content', () => {
  it('is asked to be the same still, by a strong ETag', async () => {
    const content = rangedContent(bytes, {
      etag: '"one"',
      handle: (asked) => (asked.number === 0 ? asked.breakOff(400_000) : asked.answer()),
    });
    const { repository } = await serve({ [path]: content }, soon);
    expect((await readAll(await repository.fetch(descriptor))).equals(bytes)).toBe(true);
    expect(content.asked.map(({ request }) => request.headers['if-range'])).toEqual([undefined, '"one"']);
  });

  it('is not asked by a weak ETag, which says nothing of the bytes', async () => {
    const content = rangedContent(bytes, {
      etag: 'W/"one"',
      handle: (asked) => (asked.number === 0 ? asked.breakOff(400_000) : asked.answer()),
    });
    const { repository } = await serve({ [path]: content }, soon);
    await readAll(await repository.fetch(descriptor));
    expect(content.asked.map(({ request }) => request.headers['if-range'])).toEqual([undefined, undefined]);
  });

  it('may have changed: all of it comes then, and the digest tells whether it is the same', async () => {
    const before = rangedContent(bytes, { etag: '"one"', handle: (asked) => asked.breakOff(400_000) });
    const after = rangedContent(bytes, { etag: '"two"' });
    let count = 0;
    const { repository } = await serve(
      { [path]: (...args) => (count++ === 0 ? before(...args) : after(...args)) },
      soon,
    );
    expect((await readAll(await repository.fetch(descriptor))).equals(bytes)).toBe(true);
    expect(after.asked.map(({ isRange }) => isRange)).toEqual([false]);
  });

  it('may be of another size by now: SIZE_MISMATCH', async () => {
    const content = rangedContent(bytes, { handle: (asked) => asked.breakOff(400_000) });
    let count = 0;
    const smaller = reply(206, { 'Content-Range': 'bytes 400000-899999/900000' });
    const { repository } = await serve(
      { [path]: (...args) => (count++ === 0 ? content(...args) : smaller(...args)) },
      soon,
    );
    await expect(readAll(await repository.fetch(descriptor))).rejects.toMatchObject({ code: 'REGISTRY_ERROR' });
  });
});

describe('a server that has lost its ranges', () => {
  it.each<[string, ReturnType<typeof reply>]>([
    ['sends all of it', reply(200, {}, bytes)],
    ['refuses the range with 416', reply(416)],
    ['sends another range', reply(206, { 'Content-Range': 'bytes 0-99/1000000' }, bytes.subarray(0, 100))],
  ])('is read past what has come, where it %s, and that is told', async (_how, answer) => {
    const whole = reply(200, { 'Content-Length': '1000000' }, bytes);
    const content = rangedContent(bytes, {
      handle: ({ number, request, response, breakOff }) => {
        if (number === 0) breakOff(600_000);
        else void (request.headers.range === undefined ? whole : answer)(request, response);
      },
    });
    const events: RetryEvent[] = [];
    const { repository } = await serve({ [path]: content }, { ...soon, onRetry: (event) => events.push(event) });
    expect((await readAll(await repository.fetch(descriptor))).equals(bytes)).toBe(true);
    expect(events.map(({ message }) => message)).toContainEqual(expect.stringContaining('600000 bytes are read again'));
  });

  it('is given up where it always breaks off before what has come', async () => {
    const content = rangedContent(bytes, {
      handle: ({ number, response, breakOff }) => {
        if (number === 0) breakOff(600_000);
        else
          response
            .writeHead(200, { 'Content-Length': 1_000_000 })
            .write(bytes.subarray(0, 500_000), () => response.destroy());
      },
    });
    const { repository } = await serve({ [path]: content }, soon);
    await expect(readAll(await repository.fetch(descriptor))).rejects.toMatchObject({ code: 'TRANSFER_INCOMPLETE' });
    expect(content.asked).toHaveLength(4);
  });
});

describe('in the middle of a body', () => {
  it('a token that has expired is renewed', async () => {
    let tokens = 0;
    const content = rangedContent(bytes, {
      handle: (asked) => (asked.number === 0 ? asked.breakOff(300_000) : asked.answer()),
    });
    const seen: (string | undefined)[] = [];
    const { server, repository } = await serve(
      {
        'GET /v2/': (request, response) => unauthorized(request.headers.host ?? '', response),
        'GET /token': (_request, response) =>
          void response.end(JSON.stringify({ token: `token-${++tokens}`, expires_in: 300 })),
        [path]: (request, response) => {
          seen.push(request.headers.authorization);
          const valid = content.asked.length === 0 ? 'Bearer token-1' : 'Bearer token-2';
          if (request.headers.authorization !== valid) unauthorized(request.headers.host ?? '', response);
          else void content(request, response);
        },
      },
      soon,
    );
    expect((await readAll(await repository.fetch(descriptor))).equals(bytes)).toBe(true);
    expect(seen).toEqual(['Bearer token-1', 'Bearer token-1', 'Bearer token-2']);
    expect(content.asked.map(({ start }) => start)).toEqual([0, 300_000]);
    expect(server.requests.filter(({ path: asked }) => asked.startsWith('/token'))).toHaveLength(2);
  });

  it('a redirect is asked for anew: its address may have expired', async () => {
    const content = rangedContent(bytes, { handle: (asked) => asked.breakOff(300_000) });
    const names = ['a', 'b', 'c', 'd'];
    const storage = await startScriptedServer(Object.fromEntries(names.map((name) => [`GET /${name}`, content])));
    let count = 0;
    const { repository } = await serve(
      { [path]: (...args) => void reply(307, { Location: `${storage.url}/${names[count++] ?? ''}` })(...args) },
      soon,
    );
    expect((await readAll(await repository.fetch(descriptor))).equals(bytes)).toBe(true);
    expect(storage.requests.map(({ path: asked, headers }) => [asked, headers.range])).toEqual([
      ['/a', undefined],
      ['/b', 'bytes=300000-999999'],
      ['/c', 'bytes=600000-999999'],
      ['/d', 'bytes=900000-999999'],
    ]);
    await storage.stop();
  });
});

function unauthorized(host: string, response: ServerResponse): void {
  response.writeHead(401, { 'WWW-Authenticate': `Bearer realm="http://${host}/token",service="scripted"` }).end();
}
