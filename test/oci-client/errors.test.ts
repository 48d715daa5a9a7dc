import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

import { afterEach, describe, expect, it } from 'vitest';

import { EdgeBundleError, type ErrorCode } from '../../src/errors.ts';
import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { freePort } from '../support/free-port.ts';
import { blob } from '../support/graphs.ts';
import { reply } from '../support/scripted-server.ts';
import { useServedRepository } from './served-repository.ts';

const serve = useServedRepository();
const tags = 'GET /v2/team/app/tags/list';

describe('an answer that is an error', () => {
  it.each<[number, ErrorCode]>([
    [401, 'AUTH_FAILED'],
    [403, 'ACCESS_DENIED'],
    [404, 'NOT_FOUND'],
    [413, 'CONTENT_TOO_LARGE'],
    [429, 'REGISTRY_UNAVAILABLE'],
    [502, 'REGISTRY_UNAVAILABLE'],
    [503, 'REGISTRY_UNAVAILABLE'],
    [504, 'REGISTRY_UNAVAILABLE'],
    [400, 'REGISTRY_ERROR'],
    [405, 'REGISTRY_ERROR'],
    [418, 'REGISTRY_ERROR'],
    [500, 'REGISTRY_ERROR'],
  ])('%i is %s, and says what failed, where, and with which status', async (status, code) => {
    const challenge = status === 401 ? { 'WWW-Authenticate': 'Basic realm="x"' } : {};
    const { repository, server } = await serve({ [tags]: reply(status, challenge) });
    await expect(repository.tags()).rejects.toMatchObject({
      code,
      message: expect.stringMatching(
        new RegExp(`^cannot list the tags of ${server.host}/team/app: ${server.host} answered ${status}`),
      ) as string,
    });
  });

  it.each([
    [
      'the registry’s own errors, all of them',
      '{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known","detail":{"name":"team/app"}},{"code":"DENIED"}]}',
      'NAME_UNKNOWN: repository name not known ({"name":"team/app"}); DENIED',
    ],
    ['an error without a detail', '{"errors":[{"code":"X","message":"y","detail":null}]}', 'Bad Request: X: y'],
    ['another JSON', '{"error":"invalid_grant","error_description":"expired"}', 'Bad Request: invalid_grant: expired'],
    ['plain text', '  upstream\n  failed ', 'Bad Request: upstream failed'],
    [
      'a page of HTML',
      '<html><head><title>400</title><style>p{}</style></head><body><h1>Bad</h1>\n<p>gateway</p></body></html>',
      'Bad Request: Bad gateway',
    ],
    ['control characters', 'red \u001b[31m alert', 'red [31m alert'],
  ])('says %s', async (_what, body, expected) => {
    const { repository } = await serve({ [tags]: reply(400, {}, body) });
    await expect(repository.tags()).rejects.toThrow(expected);
  });

  it('says X-Request-ID of a server’s error, for its log knows more', async () => {
    const { repository } = await serve({ [tags]: reply(500, { 'X-Request-ID': 'abc-1' }, '{"errors":[]}') });
    await expect(repository.tags()).rejects.toThrow('X-Request-ID abc-1');
  });

  it('is read only so far: a body without an end does no harm', async () => {
    let sent = 0;
    const { repository } = await serve({
      [tags]: (_request, response) => {
        response.writeHead(400);
        const piece = Buffer.alloc(16_384, 'x');
        const send = (): void => {
          do sent += piece.byteLength;
          while (!response.destroyed && response.write(piece));
        };
        response.on('drain', send);
        send();
      },
    });
    const error: unknown = await repository.tags().catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'REGISTRY_ERROR' });
    expect(String(error).length).toBeLessThan(1000);
    expect(sent).toBeLessThan(20_000_000);
  });

  it.each(['<', '<head ', '<style>', '<a ', '&lt;', '\u202e'])('is read at once, with 64 KB of %j', async (piece) => {
    const { repository } = await serve({ [tags]: reply(400, {}, piece.repeat(65_536 / piece.length)) });
    const before = process.cpuUsage();
    const error: unknown = await repository.tags().catch((reason: unknown) => reason);
    const { user, system } = process.cpuUsage(before);
    expect(error).toMatchObject({ code: 'REGISTRY_ERROR' });
    expect((user + system) / 1000).toBeLessThan(2000);
  });

  it('still counts where its body breaks off', async () => {
    const { repository } = await serve({
      [tags]: (_request, response) => {
        response.writeHead(403, { 'Content-Length': '100' }).write('DEN', () => response.destroy());
      },
    });
    await expect(repository.tags()).rejects.toMatchObject({ code: 'ACCESS_DENIED' });
  });
});

describe('a registry that cannot be reached', () => {
  const servers: Server[] = [];
  afterEach(() => servers.splice(0).forEach((server) => server.close()));

  async function listen(onConnection: (socket: Socket) => unknown): Promise<string> {
    const server = createServer((socket) => void onConnection(socket)).listen(0, '127.0.0.1');
    servers.push(server);
    await once(server, 'listening');
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async function failure(host: string, options = {}): Promise<unknown> {
    const client = new RegistryClient({ plainHttp: 'all', retries: 0, ...options });
    try {
      return await client.repository(host, 'team/app').tags();
    } catch (error) {
      return error;
    } finally {
      await client.close();
    }
  }

  it('because nothing listens there', async () => {
    const host = `127.0.0.1:${await freePort()}`;
    expect(await failure(host)).toMatchObject({
      code: 'REGISTRY_UNAVAILABLE',
      exitCode: 75,
      message: expect.stringMatching(new RegExp(`${host}.*refused`)) as string,
    });
  });

  it('because there is no such host', async () => {
    expect(await failure('no-such-host.invalid')).toMatchObject({
      code: 'REGISTRY_UNAVAILABLE',
      message: expect.stringContaining('no-such-host.invalid') as string,
    });
  });

  it('because it closes the connection', async () => {
    const host = await listen((socket) => socket.once('data', () => socket.destroy()));
    expect(await failure(host)).toMatchObject({
      code: 'REGISTRY_UNAVAILABLE',
      message: expect.stringContaining('closed') as string,
    });
  });

  it('because what answers is no HTTP', async () => {
    const host = await listen((socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'));
    expect(await failure(host)).toMatchObject({ code: 'REGISTRY_ERROR' });
  });

  it('because it hangs: TIMEOUT', async () => {
    const { repository } = await serve({ [tags]: () => undefined }, { headersTimeoutMs: 300 });
    await expect(repository.tags()).rejects.toMatchObject({ code: 'TIMEOUT', exitCode: 75 });
  });

  it('because no connection comes about: TIMEOUT', async () => {
    const host = await listen(() => undefined);
    expect(await failure(host, { plainHttp: [], connectTimeoutMs: 300 })).toMatchObject({
      code: 'TIMEOUT',
      message: expect.stringContaining('connection') as string,
    });
  });
});

describe('an aborted signal', () => {
  it('ends a request that is under way with ABORTED', async () => {
    const controller = new AbortController();
    const { repository } = await serve({ [tags]: () => controller.abort() });
    await expect(repository.tags({ signal: controller.signal })).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('ends one caller’s wait for a login that others share, and not theirs', async () => {
    const controller = new AbortController();
    let answer = (): void => undefined;
    const { repository } = await serve({
      'GET /v2/': (_request, response) => {
        answer = () => response.end('{}');
        controller.abort();
      },
    });
    const { descriptor } = blob('x');
    const aborted = repository.exists(descriptor, { signal: controller.signal });
    const other = repository.exists(descriptor);
    await expect(aborted).rejects.toMatchObject({ code: 'ABORTED' });
    answer();
    expect(await other).toBe(false);
  });

  it('gives the reason where that is one of ours', async () => {
    const reason = new EdgeBundleError('NO_SPACE', 'the disk is full');
    const { repository } = await serve({});
    await expect(repository.tags({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});
