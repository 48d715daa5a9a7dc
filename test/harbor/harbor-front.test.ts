import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import { Agent, type Dispatcher } from 'undici';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import { harborAdmin, HarborFront } from '../support/harbor-front.ts';

/** What a client could do wrong, and what Harbor makes of it. */

const locked = { name: 'locked', password: 'locked-password', admin: true };
const repository = '/v2/library/app';
const ociManifest = 'application/vnd.oci.image.manifest.v1+json';

interface Answer {
  readonly status: number;
  readonly headers: Dispatcher.ResponseData['headers'];
  readonly body: string;
}

interface Request {
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer | Readable;
}

let front: HarborFront;
let agent: Agent;

beforeAll(async () => {
  front = await HarborFront.start({ users: [harborAdmin, locked] });
  front.state.addProject({ name: 'library' });
  agent = new Agent({ connect: { ca: front.ca } });
});

beforeEach(() => front.reset());

afterAll(async () => {
  await agent.close();
  await front.close();
});

async function send(
  method: Dispatcher.HttpMethod,
  path: string,
  { headers = {}, body }: Request = {},
): Promise<Answer> {
  const answer = await agent.request({ origin: front.url, method, path, headers, body: body ?? null });
  return { status: answer.statusCode, headers: answer.headers, body: await answer.body.text() };
}

function basic(user = harborAdmin, password = user.password): Record<string, string> {
  return { authorization: `Basic ${Buffer.from(`${user.name}:${password}`).toString('base64')}` };
}

async function token(scope: string, login = basic()): Promise<Record<string, string>> {
  const { body } = await send('GET', `/service/token?service=harbor-registry&scope=${scope}`, { headers: login });
  return { authorization: `Bearer ${(JSON.parse(body) as { token: string }).token}` };
}

const pushToken = (): Promise<Record<string, string>> => token('repository:library/app:pull,push');

/** The path and query of a new upload session. */
async function startUpload(headers: Record<string, string>): Promise<string> {
  const answer = await send('POST', `${repository}/blobs/uploads/`, { headers });
  expect(answer.status).toBe(202);
  const location = new URL(String(answer.headers.location), front.url);
  return `${location.pathname}${location.search}`;
}

function digestOf(content: string): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

function rules(): readonly string[] {
  return front.state.violations.map(({ rule }) => rule);
}

describe('the login of the Harbor front', () => {
  it('asks for a token at its own address, without a scope', async () => {
    const { status, headers } = await send('GET', '/v2/');
    expect(status).toBe(401);
    expect(headers['www-authenticate']).toBe(`Bearer realm="${front.url}/service/token",service="harbor-registry"`);
  });

  it('names the scope where a repository is asked for', async () => {
    const { status, headers } = await send('POST', `${repository}/blobs/uploads/?mount=sha256:0&from=library/other`);
    expect(status).toBe(401);
    expect(headers['www-authenticate']).toContain(
      'scope="repository:library/app:pull,push repository:library/other:pull"',
    );
  });

  it('gives an anonymous token for a wrong password and a scope, and 401 without a scope', async () => {
    const wrong = basic(locked, 'wrong');
    expect((await send('GET', '/service/token?service=harbor-registry', { headers: wrong })).status).toBe(401);
    const anonymous = await token('repository:library/app:pull,push', wrong);
    const refused = await send('POST', `${repository}/blobs/uploads/`, { headers: anonymous });
    expect(refused.status).toBe(401);
    expect(refused.headers['www-authenticate']).toBe('Basic realm="harbor"');
  });

  it('gives a token, an empty access_token and its lifetime', async () => {
    const { body } = await send('GET', '/service/token?service=harbor-registry', { headers: basic() });
    expect(JSON.parse(body)).toMatchObject({
      token: expect.stringMatching(/^[^.]+\.[^.]+\.[^.]+$/) as string,
      access_token: '',
      expires_in: 1800,
    });
  });

  it('covers all repositories of the project by one token', async () => {
    const headers = await pushToken();
    expect((await send('POST', '/v2/library/quite/another/blobs/uploads/', { headers })).status).toBe(202);
  });

  it('refuses a token that was tampered with, that has expired, or that is older than the project', async () => {
    const headers = await pushToken();
    const [head = '', , signature = ''] = (headers.authorization ?? '').split('.');
    const claims = Buffer.from(JSON.stringify({ sub: 'admin', jti: 'made-up' })).toString('base64url');
    const forged = { authorization: `${head}.${claims}.${signature}` };
    expect((await send('GET', '/v2/', { headers: forged })).status).toBe(401);

    const early = await token('repository:late/app:pull,push');
    front.state.addProject({ name: 'late' });
    expect((await send('POST', '/v2/late/app/blobs/uploads/', { headers: early })).status).toBe(401);
    const fresh = await token('repository:late/app:pull,push');
    expect((await send('POST', '/v2/late/app/blobs/uploads/', { headers: fresh })).status).toBe(202);

    front.state.knobs.tokenLifetimeMs = -1;
    const expired = await pushToken();
    const refused = await send('HEAD', `${repository}/manifests/1`, { headers: expired });
    expect([refused.status, refused.headers['www-authenticate']]).toEqual([401, 'Basic realm="harbor"']);
  });

  it('freezes a user after a failed login, for the right password too', async () => {
    const login = async (password?: string): Promise<number> =>
      (await send('GET', '/v2/', { headers: basic(locked, password) })).status;
    vi.useFakeTimers({ toFake: ['Date'] });
    try {
      vi.setSystemTime(Date.now() + 1_600);
      expect([await login(), await login('wrong'), await login()]).toEqual([200, 401, 401]);
      vi.setSystemTime(Date.now() + 1_600);
      expect(await login()).toBe(200);
    } finally {
      vi.useRealTimers();
    }
  });

  it('answers 401 with an empty challenge where the project is missing or the name is none', async () => {
    const headers = await token('repository:absent/app:pull');
    for (const path of ['/v2/absent/app/tags/list', '/v2/library/UPPER/tags/list', '/v2/library/a..b/tags/list']) {
      const answer = await send('GET', path, { headers });
      expect([path, answer.status, answer.headers['www-authenticate']]).toEqual([path, 401, '']);
    }
    expect((await send('GET', '/v2/app/tags/list', { headers })).status).toBe(400);
  });
});

describe('the rules of the Harbor front', () => {
  it('are broken by a cookie that is sent back: writes get 403', async () => {
    const first = await send('GET', '/api/v2.0/ping');
    const cookie = String(first.headers['set-cookie']).split(';')[0] ?? '';
    expect(cookie).toMatch(/^sid=/);
    const headers = { ...basic(), cookie, 'content-type': 'application/json' };
    const refused = await send('POST', '/api/v2.0/projects', { headers, body: '{"project_name":"with-cookie"}' });
    expect(refused.status).toBe(403);
    expect(front.state.projects.has('with-cookie')).toBe(false);
    expect(rules()).toEqual(['cookie-kept']);
  });

  it('are broken by uploads and probes without the slash', async () => {
    const headers = await pushToken();
    expect((await send('POST', `${repository}/blobs/uploads`, { headers })).status).toBe(301);
    expect((await send('GET', '/v2', { headers })).status).toBe(301);
    expect(rules()).toEqual(['slash-missing', 'slash-missing']);
  });

  it('are broken by a PUT in chunks, and not by one with a length', async () => {
    const headers = { ...(await pushToken()), 'content-type': 'application/octet-stream' };
    const [whole, chunked] = [await startUpload(headers), await startUpload(headers)];
    const body = 'one blob';
    const put = await send('PUT', `${whole}&digest=${digestOf(body)}`, { headers, body });
    expect([put.status, rules()]).toEqual([201, []]);
    const other = 'another blob';
    const stream = Readable.from([Buffer.from(other)]);
    expect((await send('PUT', `${chunked}&digest=${digestOf(other)}`, { headers, body: stream })).status).toBe(201);
    expect(rules()).toEqual(['wrong-blob-put']);
  });

  it('are broken by a last chunk in the PUT, and not by PATCH and an empty PUT', async () => {
    const headers = { ...(await pushToken()), 'content-type': 'application/octet-stream' };
    const content = 'first half, second half';
    const patched = async (part: string): Promise<string> => {
      const answer = await send('PATCH', await startUpload(headers), { headers, body: part });
      const location = new URL(String(answer.headers.location), front.url);
      return `${location.pathname}${location.search}&digest=${digestOf(content)}`;
    };
    expect((await send('PUT', await patched(content), { headers })).status).toBe(201);
    expect(rules()).toEqual([]);
    expect((await send('PUT', await patched('first half, '), { headers, body: 'second half' })).status).toBe(201);
    expect(rules()).toEqual(['wrong-blob-put']);
  });

  it('are broken by a manifest before its blobs', async () => {
    const headers = { ...(await pushToken()), 'content-type': ociManifest };
    const descriptor = { mediaType: 'application/octet-stream', digest: digestOf('nowhere'), size: 7 };
    const body = JSON.stringify({ schemaVersion: 2, mediaType: ociManifest, config: descriptor, layers: [] });
    const answer = await send('PUT', `${repository}/manifests/early`, { headers, body });
    expect([answer.status, rules()]).toEqual([400, ['manifest-before-children']]);
  });

  it('are broken by several first logins at once, and not by one after the other', async () => {
    await send('GET', '/v2/', { headers: basic() });
    await send('GET', '/v2/', { headers: basic() });
    expect(rules()).toEqual([]);
    front.reset();
    front.state.knobs.passwordCheckMs = 1_000;
    await Promise.all([pushToken(), pushToken()]);
    expect(rules()).toEqual(['login-storm']);
  });

  it('are broken by a token for each repository', async () => {
    for (let number = 0; number < 4; number++) await token(`repository:library/app-${number}:pull,push`);
    expect(rules()).toEqual([]);
    await token('repository:library/app-5:pull,push');
    expect(rules()).toEqual(['login-storm']);
  });

  it('are broken by more requests at once than Harbor bears', async () => {
    const headers = await pushToken();
    const askAtOnce = async (length: number): Promise<void> => {
      let count = 0;
      front.intercept = async () => {
        count += 1;
        while (count < length) await sleep(5);
        return false;
      };
      await Promise.all(Array.from({ length }, () => send('GET', `${repository}/tags/list`, { headers })));
    };
    await askAtOnce(4);
    expect(rules()).toEqual([]);
    await askAtOnce(12);
    expect(new Set(rules())).toEqual(new Set(['too-many-at-once']));
  });

  it('are broken by a blob of another content type, and by a name in the API that was encoded once', async () => {
    const headers = { ...(await pushToken()), 'content-type': 'text/plain' };
    await send('PATCH', await startUpload(headers), { headers, body: 'a part' });
    expect(rules()).toEqual(['wrong-content-type']);
    front.reset();
    const place = '/api/v2.0/projects/library/repositories';
    const encoded = encodeURIComponent('quay.io/a/app');
    expect(
      (await send('GET', `${place}/${encodeURIComponent(encoded)}/artifacts/1`, { headers: basic() })).status,
    ).toBe(404);
    expect(rules()).toEqual([]);
    expect((await send('GET', `${place}/${encoded}/artifacts/1`, { headers: basic() })).status).toBe(404);
    expect(rules()).toEqual(['name-encoded-once']);
  });

  it('are broken by a password where a token is due', async () => {
    for (let number = 0; number < 4; number++) await send('GET', `${repository}/tags/list`, { headers: basic() });
    expect(rules()).toEqual(['basic-for-bulk-work']);
  });
});

describe('a write that the Harbor front refuses', () => {
  it('has no space in the quota', async () => {
    front.state.knobs.quotaBytes = front.state.usedBytes(project()) + 10;
    const headers = { ...(await pushToken()), 'content-type': 'application/octet-stream' };
    const body = 'more than ten bytes';
    const answer = await send('PUT', `${await startUpload(headers)}&digest=${digestOf(body)}`, { headers, body });
    expect(answer.status).toBe(403);
    expect(answer.body).toMatch(/"DENIED".*will exceed the configured upper limit/);
    const small = '10 bytes..';
    expect(
      (await send('PUT', `${await startUpload(headers)}&digest=${digestOf(small)}`, { headers, body: small })).status,
    ).toBe(201);
  });

  it('comes in read-only mode, while reads go on', async () => {
    front.state.knobs.readOnly = true;
    const headers = await pushToken();
    const answer = await send('POST', `${repository}/blobs/uploads/`, { headers });
    expect([answer.status, answer.body]).toEqual([403, expect.stringContaining('read only mode')]);
    expect((await send('HEAD', `${repository}/manifests/none`, { headers })).status).toBe(404);
  });

  it('is a manifest over 4 MiB', async () => {
    const headers = { ...(await pushToken()), 'content-type': ociManifest };
    const body = Buffer.alloc(4 * 1024 * 1024 + 1, ' ');
    expect((await send('PUT', `${repository}/manifests/big`, { headers, body })).status).toBe(413);
  });

  it('is to an immutable tag that is there, with the same content too', async () => {
    const headers = await pushToken();
    const config = '{}';
    const place = `${await startUpload(headers)}&digest=${digestOf(config)}`;
    await send('PUT', place, { headers: { ...headers, 'content-type': 'application/octet-stream' }, body: config });
    const descriptor = { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf(config), size: 2 };
    const body = JSON.stringify({ schemaVersion: 2, mediaType: ociManifest, config: descriptor, layers: [] });
    const put = (): Promise<Answer> =>
      send('PUT', `${repository}/manifests/1.0`, { headers: { ...headers, 'content-type': ociManifest }, body });
    front.state.knobs.immutableTags = /^1\./;
    expect((await put()).status).toBe(201);
    const again = await put();
    expect([again.status, again.body]).toEqual([412, expect.stringContaining("'1.0' configured as immutable")]);
  });
});

function project() {
  const found = front.state.projects.get('library');
  if (found === undefined) throw new Error('there is no project library');
  return found;
}
