import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import type { RetryEvent } from '../../src/oci-client/retry-policy.ts';
import { freePort } from '../support/free-port.ts';
import { blob, image } from '../support/graphs.ts';
import { type Answer, reply, type ScriptedServer } from '../support/scripted-server.ts';
import { readAll } from '../support/store-contract.ts';
import { useServedRepository } from './served-repository.ts';

const serve = useServedRepository();
const path = '/v2/team/app/tags/list';
const tags = `GET ${path}`;
const good = reply(200, {}, '{"tags":["v1"]}');
const soon = { retries: 5, retryBaseMs: 5 };

/** The first answers one after the other, then the last one always. */
function inTurn(...answers: readonly [Answer, ...Answer[]]): Answer {
  let count = 0;
  return (request, response) => {
    const answer = answers[Math.min(count, answers.length - 1)] ?? answers[0];
    count += 1;
    return answer(request, response);
  };
}

function requestsTo(server: ScriptedServer, asked = path): number {
  return server.requests.filter((request) => request.path.startsWith(asked)).length;
}

const reset: Answer = (_request, response) => void response.socket?.resetAndDestroy();
const hang: Answer = () => undefined;

describe('a request that fails for the moment', () => {
  it.each<[string, Answer]>([
    ...[408, 425, 429, 500, 502, 503, 504].map((status): [string, Answer] => [`with ${status}`, reply(status)]),
    ['by a reset', reset],
    [
      'with an answer that breaks off',
      (_request, response) => void response.socket?.end('HTTP/1.1 200 OK\r\nContent-'),
    ],
  ])('%s is sent again', async (_how, failure) => {
    const script = { [tags]: inTurn(failure, failure, good) };
    const { repository, server } = await serve(script, soon);
    expect(await repository.tags()).toEqual(['v1']);
    expect(requestsTo(server)).toBe(3);
  });

  it('because nothing is answered is sent again', async () => {
    const { repository, server } = await serve(
      { [tags]: inTurn(hang, hang, good) },
      { ...soon, headersTimeoutMs: 300 },
    );
    expect(await repository.tags()).toEqual(['v1']);
    // On a busy machine the good answer may come too late as well.
    expect(requestsTo(server)).toBeGreaterThanOrEqual(3);
  });

  it('is sent again as often as is allowed, and the last failure told', async () => {
    const { repository, server } = await serve({ [tags]: reply(503, {}, 'overloaded') }, { ...soon, retries: 2 });
    await expect(repository.tags()).rejects.toMatchObject({
      code: 'REGISTRY_UNAVAILABLE',
      exitCode: 75,
      message: expect.stringMatching(/503.*overloaded$/) as string,
    });
    expect(requestsTo(server)).toBe(3);
  });

  it.each([400, 401, 403, 404, 405, 501])('is not sent again where %i says that it will fail again', async (status) => {
    const { repository, server } = await serve({ [tags]: reply(status) }, soon);
    await expect(repository.tags()).rejects.toThrow(`${status}`);
    expect(requestsTo(server)).toBe(1);
  });

  it('tells each retry, with the reason and the wait', async () => {
    const events: RetryEvent[] = [];
    const script = { [tags]: inTurn(reply(502), reset, good) };
    const { repository, server } = await serve(script, { ...soon, onRetry: (event) => events.push(event) });
    await repository.tags();
    expect(events.map(({ message }) => message)).toEqual([
      `cannot list the tags of ${server.host}/team/app: ${server.host} answered 502 Bad Gateway`,
      expect.stringMatching(/reset|closed/),
    ]);
    for (const { delayMs } of events) expect(delayMs).toBeLessThan(20);
  });

  it('waits longer and longer, and never longer than the longest wait', async () => {
    const delays: number[] = [];
    const onRetry = ({ delayMs }: RetryEvent): void => void delays.push(delayMs);
    const options = { retries: 40, retryBaseMs: 1, retryMaxMs: 8, onRetry };
    const { repository } = await serve({ [tags]: reply(503) }, options);
    await expect(repository.tags()).rejects.toThrow('503');
    expect(delays).toHaveLength(40);
    expect(delays[0]).toBeLessThan(1);
    expect(Math.max(...delays)).toBeLessThanOrEqual(8);
    expect(Math.max(...delays)).toBeGreaterThan(4);
  });

  it('is given up when the time for it is over, also where the registry asks for more', async () => {
    const options = { retryBaseMs: 1, retryMaxMs: 10, giveUpAfterMs: 1_500 };
    const { repository, server } = await serve({ [tags]: reply(503) }, { ...options, retries: undefined });
    await expect(repository.tags()).rejects.toMatchObject({ exitCode: 75 });
    expect(requestsTo(server), 'more often than the default allows').toBeGreaterThan(6);

    const asking = await serve({ [tags]: reply(503, { 'Retry-After': '60' }) }, { ...options, retries: undefined });
    await expect(asking.repository.tags()).rejects.toMatchObject({ exitCode: 75 });
    expect(requestsTo(asking.server)).toBe(1);
  });

  it('ends at once when it is aborted while it waits', async () => {
    const controller = new AbortController();
    const options = { retries: 5, onRetry: () => setTimeout(() => controller.abort(), 20) };
    const { repository } = await serve({ [tags]: reply(503, { 'Retry-After': '300' }) }, options);
    await expect(repository.tags({ signal: controller.signal })).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('ends at once when the client is closed while it waits', async () => {
    const { repository, client } = await serve({ 'GET /v2/': reply(503, { 'Retry-After': '300' }) }, { retries: 5 });
    const listed = repository.tags();
    setTimeout(() => void client.close(), 50);
    await expect(listed).rejects.toMatchObject({ code: 'ABORTED' });
  });
});

describe('a connection that does not come about', () => {
  it('is tried again a little where it is refused', async () => {
    const events: RetryEvent[] = [];
    const client = new RegistryClient({ plainHttp: 'all', retryBaseMs: 5, onRetry: (event) => events.push(event) });
    const repository = client.repository(`127.0.0.1:${await freePort()}`, 'team/app');
    await expect(repository.tags()).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE' });
    expect(events).toHaveLength(2);
    await client.close();
  });

  it('is not tried again where there is no such host', async () => {
    const events: RetryEvent[] = [];
    const client = new RegistryClient({ plainHttp: 'all', onRetry: (event) => events.push(event) });
    const failed = client.repository('no-such-host.invalid', 'team/app').tags();
    await expect(failed).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE' });
    // Where the name service is not reachable either, that may be over the next time.
    if (!(await failed.catch(String)).includes('name service')) expect(events).toEqual([]);
    await client.close();
  });

  it('is tried again where it takes too long', async () => {
    let connections = 0;
    const server = createServer((socket) => {
      connections += 1;
      socket.on('error', () => undefined);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = new RegistryClient({ connectTimeoutMs: 100, retries: 2, retryBaseMs: 5 });
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    await expect(client.repository(host, 'team/app').tags()).rejects.toMatchObject({ code: 'TIMEOUT' });
    // A connection that was given up may be noticed later than that.
    await expect.poll(() => connections).toBe(3);
    await client.close();
    server.close();
  });
});

describe('Retry-After', () => {
  it.each<[string, () => string]>([
    ['in seconds', () => '1'],
    // HTTP dates have whole seconds.
    ['as a date', () => new Date(Date.now() + 2_000).toUTCString()],
  ])('%s is waited for, by every request to that host', async (_how, retryAfter) => {
    const times: number[] = [];
    const note: (answer: Answer) => Answer = (answer) => (request, response) => {
      times.push(performance.now());
      return answer(request, response);
    };
    const waits: RetryEvent[] = [];
    const { repository } = await serve(
      {
        [tags]: note(
          inTurn((request, response) => reply(429, { 'Retry-After': retryAfter() })(request, response), good),
        ),
        [`HEAD /v2/team/app/blobs/${blob('x').descriptor.digest}`]: note(reply(200)),
      },
      { retries: 5, retryBaseMs: 10, onRetry: (event) => waits.push(event) },
    );
    const listed = repository.tags();
    while (waits.length === 0) await sleep(5);
    const [first = 0] = times;
    await Promise.all([listed, repository.exists(blob('x').descriptor)]);
    expect(times).toHaveLength(3);
    for (const time of times.slice(1)) expect(time - first).toBeGreaterThanOrEqual(900);
    expect(waits.map(({ delayMs }) => delayMs < 2_500)).toEqual([true]);
  });

  it.each(['nonsense', '', '-5', '1.5.2026 at noon'])("that is '%s' is not waited for", async (text) => {
    const { repository } = await serve({ [tags]: inTurn(reply(503, { 'Retry-After': text }), good) }, soon);
    expect(await repository.tags()).toEqual(['v1']);
  });

  it('that is past is not waited for', async () => {
    const past = new Date(Date.now() - 3_600_000).toUTCString();
    const { repository } = await serve({ [tags]: inTurn(reply(503, { 'Retry-After': past }), good) }, soon);
    expect(await repository.tags()).toEqual(['v1']);
  });

  it('is waited for five minutes at most', async () => {
    const delays: number[] = [];
    const controller = new AbortController();
    const onRetry = ({ delayMs }: RetryEvent): void => {
      delays.push(delayMs);
      controller.abort();
    };
    const script = { [tags]: reply(429, { 'Retry-After': '86400' }) };
    const { repository } = await serve(script, { retries: 5, retryBaseMs: 1, onRetry });
    await expect(repository.tags({ signal: controller.signal })).rejects.toMatchObject({ code: 'ABORTED' });
    expect(Math.round((delays[0] ?? 0) / 1000)).toBe(300);
  });
});

describe('a push', () => {
  const { descriptor, bytes } = blob('content');
  const uploads = '/v2/team/app/blobs/uploads/';
  const session = reply(202, { Location: `${uploads}1` });

  it('begins its session again where that fails for the moment', async () => {
    const { repository } = await serve(
      { [`POST ${uploads}`]: inTurn(reply(503), session), [`PUT ${uploads}1`]: reply(201) },
      soon,
    );
    await repository.push(descriptor, Readable.from([bytes]), { isAbsent: true });
  });

  it('sends a blob’s bytes once', async () => {
    const script = { [`POST ${uploads}`]: session, [`PUT ${uploads}1`]: reply(503) };
    const { repository, server } = await serve(script, soon);
    const pushed = repository.push(descriptor, Readable.from([bytes]), { isAbsent: true });
    await expect(pushed).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE' });
    expect(server.requests.filter(({ method }) => method === 'PUT')).toHaveLength(1);
  });

  it('sends a manifest again', async () => {
    const manifest = image([]);
    const target = `/v2/team/app/manifests/${manifest.descriptor.digest}`;
    const script = { [`PUT ${target}`]: inTurn(reply(502), reset, reply(201)) };
    const { repository, server } = await serve(script, soon);
    await repository.push(manifest.descriptor, Readable.from([manifest.bytes]), { isAbsent: true });
    expect(requestsTo(server, target)).toBe(3);
  });
});

describe('content that is damaged on its way', () => {
  it('is read again once where it is read into memory', async () => {
    const { readContent } = await import('../../src/content/verify.ts');
    const { descriptor, bytes } = blob('a manifest, say');
    const asked = `GET /v2/team/app/blobs/${descriptor.digest}`;
    const wrong = reply(200, {}, Buffer.alloc(bytes.byteLength));
    const once = await serve({ [asked]: inTurn(wrong, reply(200, {}, bytes)) }, soon);
    expect(await readContent(once.repository, descriptor)).toEqual(bytes);
    const always = await serve({ [asked]: wrong }, soon);
    await expect(readContent(always.repository, descriptor)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    expect(requestsTo(always.server, `/v2/team/app/blobs/`)).toBe(2);
    expect((await readAll(await once.repository.fetch(descriptor))).equals(bytes)).toBe(true);
  });
});
