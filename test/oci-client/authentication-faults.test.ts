import { Readable } from 'node:stream';

import { afterEach, describe, expect, it } from 'vitest';

import { type CredentialSource, FixedCredentials } from '../../src/oci-client/credentials.ts';
import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { blob } from '../support/graphs.ts';
import {
  type Answer,
  reply,
  type Script,
  type ScriptedServer,
  startScriptedServer,
} from '../support/scripted-server.ts';

const ended: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ended.splice(0)) await end();
});

async function serve(script: Script): Promise<ScriptedServer> {
  const server = await startScriptedServer(script);
  ended.push(() => server.stop());
  return server;
}

function open({ host }: ScriptedServer, credentials?: CredentialSource) {
  const client = new RegistryClient({ plainHttp: ['127.0.0.1'], credentials });
  ended.push(() => client.close());
  return { client, repository: client.repository(host, 'team/app') };
}

function login({ host }: ScriptedServer): FixedCredentials {
  return new FixedCredentials(host, { username: 'admin', password: 'Harbor-12345' });
}

/**
 * A registry with a token service at the same address; `isValid` tells which tokens it takes. As Harbor does, it names
 * Basic to whom it does not take a token from.
 */
function guarded(script: Script, tokens: readonly object[], isValid: (token: string | undefined) => boolean): Script {
  const given = tokens[Symbol.iterator]();
  const challenge: Answer = ({ headers }, response) => {
    const bearer = `Bearer realm="http://${headers.host ?? ''}/token",service="harbor-registry"`;
    const scheme = headers.authorization === undefined ? bearer : 'Basic realm="harbor"';
    response.writeHead(401, { 'WWW-Authenticate': scheme, Connection: 'close' }).end();
  };
  const guard = (answer: Answer): Answer => {
    return (request, response) => {
      const isTaken = isValid(request.headers.authorization?.replace('Bearer ', ''));
      return isTaken ? answer(request, response) : challenge(request, response);
    };
  };
  return {
    'GET /v2/': challenge,
    'GET /token': (_request, response) => void response.end(JSON.stringify(given.next().value ?? {})),
    ...Object.fromEntries(Object.entries(script).map(([key, answer]) => [key, guard(answer)])),
  };
}

const content = blob('what a registry has');
const path = `HEAD /v2/team/app/blobs/${content.descriptor.digest}`;
const found = reply(200, { 'Content-Length': `${content.descriptor.size}` });

describe('tokens', () => {
  it('that a registry does not take any more are replaced once, and the request is sent again', async () => {
    let valid = 'token-1';
    const server = await serve(
      guarded(
        { [path]: found },
        [{ token: 'token-1' }, { token: 'token-2' }, { token: 'token-3' }],
        (token) => token === valid,
      ),
    );
    const { repository } = open(server);
    expect(await repository.exists(content.descriptor)).toBe(true);
    valid = 'token-2';
    expect(await repository.exists(content.descriptor)).toBe(true);
    valid = 'no more';
    await expect(repository.exists(content.descriptor)).rejects.toMatchObject({ code: 'AUTH_FAILED' });
    const sent = server.requests.filter(({ method }) => method === 'HEAD').map(({ headers }) => headers.authorization);
    expect(sent).toEqual(['token-1', 'token-1', 'token-2', 'token-2', 'token-3'].map((token) => `Bearer ${token}`));
  });

  it('are fetched again once, where many requests find at the same time that one has ended', async () => {
    let valid = 'token-1';
    const server = await serve(
      guarded({ [path]: found }, [{ token: 'token-1' }, { token: 'token-2' }], (token) => token === valid),
    );
    const { repository } = open(server);
    await repository.exists(content.descriptor);
    valid = 'token-2';
    const all = await Promise.all(Array.from({ length: 6 }, () => repository.exists(content.descriptor)));
    expect(all).toEqual(Array<boolean>(6).fill(true));
    expect(server.requests.filter(({ path: asked }) => asked.startsWith('/token'))).toHaveLength(2);
  });

  it('of Harbor are for a whole project: one is enough for all its repositories', async () => {
    const other = path.replace('team/app', 'team/other');
    const elsewhere = path.replace('team/app', 'public/app');
    const tokens = [{ token: 'token-1' }, { token: 'token-2' }];
    const server = await serve(guarded({ [path]: found, [other]: found, [elsewhere]: found }, tokens, Boolean));
    const { client } = open(server);
    for (const name of ['team/app', 'team/other', 'public/app']) {
      expect(await client.repository(server.host, name).exists(content.descriptor)).toBe(true);
    }
    const sent = server.requests.filter(({ method }) => method === 'HEAD').map(({ headers }) => headers.authorization);
    expect(sent).toEqual(['Bearer token-1', 'Bearer token-1', 'Bearer token-2']);
  });

  it.each([
    ['token', { token: 'the-token', access_token: '' }],
    ['access_token', { access_token: 'the-token' }],
    ['an access_token beside an empty token', { token: '', access_token: 'the-token' }],
    ['an odd expires_in', { token: 'the-token', expires_in: 'soon' }],
  ])('come as %s', async (_name, answer) => {
    const server = await serve(guarded({ [path]: found }, [answer], (token) => token === 'the-token'));
    expect(await open(server).repository.exists(content.descriptor)).toBe(true);
  });

  it.each([
    ['AUTH_FAILED', 'no token', reply(200, {}, '{"token":""}')],
    ['REGISTRY_ERROR', 'no JSON', reply(200, {}, 'token-in-plain-text')],
    ['REGISTRY_ERROR', 'nothing there', reply(404)],
    ['REGISTRY_UNAVAILABLE', 'out of order', reply(503)],
    ['ACCESS_DENIED', 'refused', reply(403, {}, '{"message":"denied"}')],
  ])('that do not come are an error: %s (%s)', async (code, _what, answer) => {
    const server = await serve({ ...guarded({ [path]: found }, [], () => false), 'GET /token': answer });
    await expect(open(server).repository.exists(content.descriptor)).rejects.toMatchObject({ code });
  });

  it('are settled before a stream is sent: the body of an upload goes out once', async () => {
    const { descriptor, bytes } = blob('a blob that is pushed');
    const uploads = '/v2/team/app/blobs/uploads/';
    let received = '';
    const script = guarded(
      {
        [`POST ${uploads}`]: reply(202, { Location: `${uploads}1?_state=x%2By` }),
        [`PUT ${uploads}1`]: async (request, response) => {
          for await (const chunk of request) received += String(chunk);
          response.writeHead(201).end();
        },
      },
      [{ token: 'login' }, { token: 'the-token' }],
      (token) => token === 'the-token',
    );
    const server = await serve(script);
    await open(server, login(server)).repository.push(descriptor, Readable.from([bytes]));
    expect(received).toBe('a blob that is pushed');
    const put = server.requests.filter(({ method }) => method === 'PUT');
    expect(put.map(({ path: target }) => target)).toEqual([
      `${uploads}1?_state=x%2By&digest=${encodeURIComponent(descriptor.digest)}`,
    ]);
  });
});

describe('a 401', () => {
  it('without a challenge is about the project, not about the password (Harbor)', async () => {
    const denied = reply(401, {}, '{"errors":[{"code":"UNAUTHORIZED","message":"project team not found"}]}');
    const server = await serve({
      ...guarded({}, [{ token: 'login' }, { token: 'scoped' }, { token: 'anonymous' }], () => true),
      [path]: denied,
    });
    for (const credentials of [login(server), undefined]) {
      await expect(open(server, credentials).repository.exists(content.descriptor)).rejects.toMatchObject({
        code: 'ACCESS_DENIED',
        hint: expect.stringContaining('takes no such name') as string,
      });
    }
  });

  it('from a repository of a registry that is open else makes the client log in', async () => {
    const basic = `Basic ${Buffer.from('admin:Harbor-12345').toString('base64')}`;
    const server = await serve({
      [path]: (request, response) => {
        const isKnown = request.headers.authorization === basic;
        response.writeHead(isKnown ? 200 : 401, isKnown ? {} : { 'WWW-Authenticate': 'Basic realm="x"' }).end();
      },
    });
    expect(await open(server, login(server)).repository.exists(content.descriptor)).toBe(true);
    await expect(open(server).repository.exists(content.descriptor)).rejects.toMatchObject({ code: 'AUTH_FAILED' });
  });

  it('prefers Bearer where a registry offers several ways', async () => {
    const script = guarded({ [path]: found }, [{ token: 'login' }, { token: 'scoped' }], (token) => token === 'scoped');
    const server = await serve({
      ...script,
      'GET /v2/': (request, response) => {
        const realm = `http://${request.headers.host ?? ''}/token`;
        response.writeHead(401, { 'WWW-Authenticate': ['Basic realm="x"', `Bearer realm="${realm}"`] }).end();
      },
    });
    expect(await open(server, login(server)).repository.exists(content.descriptor)).toBe(true);
  });

  it('shows no secret, though the server gives back what it got', async () => {
    const server = await serve({
      'GET /v2/': (request, response) => {
        const { authorization = '' } = request.headers;
        const decoded = Buffer.from(authorization.replace('Basic ', ''), 'base64').toString();
        response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="x"' }).end(`got ${authorization} = ${decoded}`);
      },
    });
    const error: unknown = await open(server, login(server))
      .client.ping(server.host)
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'AUTH_FAILED', message: expect.stringContaining('got Basic') as string });
    expect(String(error)).not.toContain('Harbor-12345');
    expect(String(error)).not.toContain(Buffer.from('admin:Harbor-12345').toString('base64'));
  });
});

describe('ping', () => {
  it('says that what has no /v2/ is no registry', async () => {
    const server = await serve({ 'GET /v2/': reply(404, {}, 'nothing here') });
    await expect(open(server).client.ping(server.host)).rejects.toMatchObject({
      code: 'REGISTRY_ERROR',
      hint: expect.stringContaining('no registry') as string,
    });
  });

  it('asks for /v2/ with its slash at the end', async () => {
    const server = await serve({});
    await open(server).client.ping(server.host);
    expect(new Set(server.requests.map((request) => request.path))).toEqual(new Set(['/v2/']));
  });
});
