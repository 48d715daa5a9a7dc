import { afterEach, describe, expect, it } from 'vitest';

import { FixedCredentials } from '../../src/oci-client/credentials.ts';
import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { blob, noise } from '../support/graphs.ts';
import {
  type Answer,
  reply,
  type Script,
  type ScriptedServer,
  startScriptedServer,
} from '../support/scripted-server.ts';
import { readAll } from '../support/store-contract.ts';

const { descriptor, bytes } = blob(noise(20_000, 'redirected'));
const path = `/v2/team/app/blobs/${descriptor.digest}`;
const ended: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ended.splice(0)) await end();
});

async function serve(script: Script): Promise<ScriptedServer> {
  const server = await startScriptedServer(script);
  ended.push(() => server.stop());
  return server;
}

/** A registry that wants a login, and sets a cookie. */
const loginScript: Script = {
  'GET /v2/': (request, response) => {
    const headers = { 'WWW-Authenticate': 'Basic realm="x"', 'Set-Cookie': 'sid=1; Path=/' };
    response.writeHead(request.headers.authorization === undefined ? 401 : 200, headers).end();
  },
};

function open({ host }: ScriptedServer, plainHttp: 'all' | readonly string[] = 'all') {
  const credentials = new FixedCredentials(host, { username: 'admin', password: 'Harbor-12345' });
  const client = new RegistryClient({ plainHttp, credentials });
  ended.push(() => client.close());
  return client.repository(host, 'team/app');
}

function redirect(status: number, location: string): Answer {
  return reply(status, { Location: location, 'Set-Cookie': 'sid=2; Path=/' });
}

describe('a redirect to another origin', () => {
  it.each([301, 302, 307, 308])('(%i) is followed without the login', async (status) => {
    const storage = await serve({ 'GET /bucket/blob': reply(200, {}, bytes) });
    const registry = await serve({
      ...loginScript,
      [`GET ${path}`]: redirect(status, `${storage.url}/bucket/blob?X-Amz-Signature=abc%2F`),
    });
    expect((await readAll(await open(registry).fetch(descriptor))).equals(bytes)).toBe(true);
    expect(registry.requests.at(-1)?.headers.authorization).toMatch(/^Basic /);
    expect(storage.requests.map((request) => [request.path, request.headers.authorization])).toEqual([
      ['/bucket/blob?X-Amz-Signature=abc%2F', undefined],
    ]);
  });

  it('and back again does not bring the login back', async () => {
    const storage = await serve({
      'GET /there': (_request, response) => redirect(307, `${registry.url}/back`)(_request, response),
    });
    const registry: ScriptedServer = await serve({
      ...loginScript,
      [`GET ${path}`]: (request, response) => redirect(307, `${storage.url}/there`)(request, response),
      'GET /back': reply(200, {}, bytes),
    });
    expect((await readAll(await open(registry).fetch(descriptor))).equals(bytes)).toBe(true);
    expect(registry.requests.at(-1)).toMatchObject({ path: '/back' });
    expect(registry.requests.at(-1)?.headers.authorization).toBeUndefined();
  });

  it('takes ranges along', async () => {
    const storage = await serve({
      'GET /blob': reply(206, { 'Content-Range': 'bytes 5-19999/20000' }, bytes.subarray(5)),
    });
    const registry = await serve({ [`GET ${path}`]: redirect(307, `${storage.url}/blob`) });
    const content = await readAll(await open(registry).fetch(descriptor, { range: { start: 5 } }));
    expect(content.equals(bytes.subarray(5))).toBe(true);
    expect(storage.requests[0]?.headers.range).toBe('bytes=5-19999');
  });

  it('whose answer is an error names that host', async () => {
    const storage = await serve({ 'GET /blob': reply(403, {}, '<Error><Code>AccessDenied</Code></Error>') });
    const registry = await serve({ [`GET ${path}`]: redirect(307, `${storage.url}/blob`) });
    await expect(open(registry).fetch(descriptor)).rejects.toMatchObject({
      code: 'ACCESS_DENIED',
      message: expect.stringContaining(`${storage.host} answered 403 Forbidden: AccessDenied`) as string,
    });
  });

  it('in plain HTTP needs that host to be allowed', async () => {
    const storage = await serve({ 'GET /blob': reply(200, {}, bytes) });
    const registry = await serve({ [`GET ${path}`]: redirect(307, `${storage.url}/blob`) });
    await expect(open(registry, [registry.host]).fetch(descriptor)).rejects.toMatchObject({
      code: 'REGISTRY_ERROR',
      hint: expect.stringContaining(`--plain-http=${storage.host}`) as string,
    });
    expect(storage.requests).toEqual([]);
  });
});

describe('a redirect', () => {
  it('within the registry is followed with the login, and of a HEAD too', async () => {
    const registry = await serve({
      ...loginScript,
      [`HEAD ${path}`]: redirect(307, '/moved'),
      'HEAD /moved': reply(200, { 'Content-Length': `${bytes.byteLength}` }),
    });
    expect(await open(registry).exists(descriptor)).toBe(true);
    expect(registry.requests.at(-1)).toMatchObject({ method: 'HEAD', path: '/moved' });
    expect(registry.requests.at(-1)?.headers.authorization).toMatch(/^Basic /);
  });

  it('is followed five times, and not for ever', async () => {
    const hops: Script = Object.fromEntries(
      Array.from({ length: 5 }, (_, at) => [
        `GET /hop${at}`,
        at === 4 ? reply(200, {}, bytes) : redirect(302, `/hop${at + 1}`),
      ]),
    );
    const registry = await serve({ ...hops, [`GET ${path}`]: redirect(302, '/hop0') });
    expect((await readAll(await open(registry).fetch(descriptor))).equals(bytes)).toBe(true);
    const circle = await serve({ [`GET ${path}`]: redirect(302, path) });
    await expect(open(circle).fetch(descriptor)).rejects.toMatchObject({
      code: 'REGISTRY_ERROR',
      message: expect.stringContaining('more than 5 times') as string,
    });
    expect(circle.requests.filter((request) => request.path === path)).toHaveLength(6);
  });

  it.each(['file:///etc/passwd', 'ftp://127.0.0.1/x', 'http://'])('to %s is not followed', async (location) => {
    const registry = await serve({ [`GET ${path}`]: redirect(302, location) });
    await expect(open(registry).fetch(descriptor)).rejects.toMatchObject({ code: 'REGISTRY_ERROR' });
  });

  it('of a write is followed within the registry, by 307 and 308 only', async () => {
    const uploads = '/v2/team/app/blobs/uploads/';
    const other = await serve({ [`POST ${uploads}`]: reply(202, { Location: '/upload' }) });
    const registry = await serve({
      ...loginScript,
      [`POST ${uploads}`]: redirect(307, '/begin'),
      'POST /begin': reply(202, { Location: '/upload' }),
      'DELETE /upload': reply(204),
    });
    expect(await open(registry).mount(descriptor, 'team/other')).toBe(false);
    expect(registry.requests.map(({ method, path: asked }) => `${method} ${asked}`)).toContain('DELETE /upload');
    for (const answer of [redirect(302, '/begin'), redirect(307, `${other.url}${uploads}`)]) {
      const strange = await serve({ [`POST ${uploads}`]: answer });
      await expect(open(strange).mount(descriptor, 'team/other')).rejects.toMatchObject({ code: 'REGISTRY_ERROR' });
    }
    expect(other.requests).toEqual([]);
  });
});

describe('cookies', () => {
  it('are not kept: Harbor would check them', async () => {
    const registry = await serve({
      ...loginScript,
      [`GET ${path}`]: redirect(307, '/moved'),
      'GET /moved': reply(200, {}, bytes),
    });
    await readAll(await open(registry).fetch(descriptor));
    expect(registry.requests.map(({ headers }) => headers.cookie)).toEqual(registry.requests.map(() => undefined));
    expect(registry.requests.length).toBeGreaterThan(3);
  });
});
