import { describe, expect, it } from 'vitest';

import { type CredentialSource, FixedCredentials, type PasswordCredentials } from '../../src/oci-client/credentials.ts';
import { passTime } from '../support/clock.ts';
import { type Answer, reply } from '../support/scripted-server.ts';
import { basic, pull, repository, useNetwork } from './guarded-repository.ts';

const start = useNetwork();

describe('a token service', () => {
  const host = 'registry.example';
  const login = { username: 'user', password: 'oauth w0rd' };
  const challenge = (scope = ''): Answer =>
    reply(401, { 'WWW-Authenticate': `Bearer realm="https://${host}/token",service="s"${scope}` });

  it.each([404, 405])('that knows no GET (%i) is asked by OAuth2 with the password', async (status) => {
    let form = '';
    const { open } = await start({
      [host]: {
        ...repository('team/app', (authorization) => authorization === 'Bearer oauth-token', challenge()),
        'GET /token': reply(status),
        'POST /token': async (request, response) => {
          form = '';
          for await (const chunk of request) form += String(chunk);
          response.end('{"access_token":"oauth-token","expires_in":60,"scope":""}');
        },
      },
    });
    await pull(open({ credentials: new FixedCredentials(host, login) }).repository(host, 'team/app'));
    expect(Object.fromEntries(new URLSearchParams(form))).toEqual({
      grant_type: 'password',
      username: 'user',
      password: 'oauth w0rd',
      client_id: 'edge-bundle',
      service: 's',
      scope: 'repository:team/app:pull',
    });
  });

  it('is asked for what the registry names besides, once', async () => {
    const scope = 'repository:proxied/team/app:pull repository:team/app:pull,push';
    const wanted = 'repository:team/app:pull,push repository:proxied/team/app:pull';
    const { open, asked } = await start({
      [host]: {
        ...repository('team/app', (authorization) => authorization === 'Bearer wide', challenge(`,scope="${scope}"`)),
        'GET /token': (request, response) => {
          const scopes = new URL(request.url ?? '', 'https://x').searchParams.getAll('scope');
          response.end(JSON.stringify({ token: scopes.join(' ') === wanted ? 'wide' : 'narrow', expires_in: 60 }));
        },
      },
    });
    const from = open().repository(host, 'team/app');
    await pull(from);
    await pull(from);
    expect(asked(host).filter((line) => line.includes('/token'))).toHaveLength(2);
  });

  it('may give a token out of its cache: its age counts, by the clock of the service', async () => {
    let given = 0;
    const { open } = await start({
      [host]: {
        ...repository('team/app', (authorization) => authorization.startsWith('Bearer old'), challenge()),
        'GET /token': (_request, response) => {
          given += 1;
          response.writeHead(200, { Date: 'Thu, 01 Jan 2026 00:58:00 GMT' });
          response.end(`{"token":"old-${given}","expires_in":3600,"issued_at":"2026-01-01T00:00:00Z"}`);
        },
      },
    });
    const from = open().repository(host, 'team/app');
    await from.resolve('1');
    expect(given).toBe(1);
    passTime(100_000);
    await from.resolve('1');
    expect(given).toBe(2);
  });

  it('is asked again where a token has expired while the request that it was for waited to be sent again', async () => {
    let given = 0;
    let asked = 0;
    const { open } = await start({
      [host]: {
        ...repository('team/app', (authorization) => authorization === `Bearer token-${given}`, challenge()),
        [`HEAD /v2/team/app/manifests/1`]: (request, response) => {
          asked += 1;
          if (asked > 1) {
            const isExpired = request.headers.authorization === 'Bearer token-1';
            return (isExpired ? challenge() : reply(404))(request, response);
          }
          passTime(61_000);
          return reply(503)(request, response);
        },
        'GET /token': (_request, response) => {
          given += 1;
          response.end(JSON.stringify({ token: `token-${given}`, expires_in: 60 }));
        },
      },
    });
    await expect(open().repository(host, 'team/app').resolve('1')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect([given, asked]).toEqual([2, 3]);
  });

  it('that does not take the login of a helper any more gets a new one, in the middle of the work', async () => {
    let valid = { username: 'oauth2accesstoken', password: 'ya29-first' };
    let token = 'bearer-1';
    const { open } = await start({
      [host]: {
        ...repository('team/app', (authorization) => authorization === `Bearer ${token}`, challenge()),
        'GET /token': (request, response) => {
          const isKnown = request.headers.authorization === basic(valid);
          response.writeHead(isKnown ? 200 : 401).end(JSON.stringify({ token, expires_in: 3600 }));
        },
      },
    });
    const from = open({ credentials: { find: () => Promise.resolve(valid) } }).repository(host, 'team/app');
    await pull(from);
    valid = { ...valid, password: 'ya29-second' };
    token = 'bearer-2';
    await pull(from);
  });

  it('that gives the logins of two teams two tokens is asked with each of them for its own', async () => {
    const logins: Record<string, PasswordCredentials> = {
      'one/app': { username: 'one', password: 'word of one' },
      'two/app': { username: 'two', password: 'word of two' },
    };
    const { open } = await start({
      [host]: {
        ...repository('one/app', (authorization) => authorization === 'Bearer one', challenge()),
        ...repository('two/app', (authorization) => authorization === 'Bearer two', challenge()),
        'GET /token': (request, response) => {
          const user = Object.values(logins).find((one) => basic(one) === request.headers.authorization)?.username;
          response.end(JSON.stringify({ token: user, expires_in: 3600 }));
        },
      },
    });
    const credentials: CredentialSource = {
      find: (_registry, request) => Promise.resolve(logins[request?.repository ?? '']),
    };
    const client = open({ credentials });
    await Promise.all(Object.keys(logins).map((name) => pull(client.repository(host, name))));
  });
});
