import { describe, expect, it } from 'vitest';

import { type CredentialSource, FixedCredentials, type PasswordCredentials } from '../../src/oci-client/credentials.ts';
import { expectError } from '../support/expect-error.ts';
import { type Answer, reply, type Script } from '../support/scripted-server.ts';
import { basic, layer, pull, repository, root, useNetwork } from './guarded-repository.ts';

const start = useNetwork();

describe('Docker Hub', () => {
  const issued = { expires_in: 300, issued_at: new Date().toISOString() };
  const hub = (token: string, service: Answer): Readonly<Record<string, Script>> => ({
    'registry-1.docker.io': {
      ...repository(
        'library/nginx',
        (authorization) => authorization === `Bearer ${token}`,
        reply(
          401,
          {
            'Content-Type': 'application/json',
            'Docker-Distribution-Api-Version': 'registry/2.0',
            'WWW-Authenticate': 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io"',
            'Strict-Transport-Security': 'max-age=31536000',
          },
          '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":null}]}',
        ),
      ),
      [`GET /v2/library/nginx/blobs/${layer.descriptor.digest}`]: reply(307, {
        Location: 'https://production.cloudflare.docker.com/registry-v2/data?X-Amz-Signature=abc',
      }),
    },
    'auth.docker.io': { 'GET /token': service },
    'production.cloudflare.docker.com': { 'GET /registry-v2/data': reply(200, {}, layer.bytes) },
  });

  it('gives everybody a token for each repository; its storage never sees it', async () => {
    const { open, asked } = await start(
      hub('anonymous-hub-token', reply(200, {}, JSON.stringify({ token: 'anonymous-hub-token', ...issued }))),
    );
    await pull(open().repository('docker.io', 'library/nginx'));
    expect(asked('auth.docker.io')).toEqual([
      'GET /token?service=registry.docker.io&scope=repository%3Alibrary%2Fnginx%3Apull',
    ]);
    expect(asked('registry-1.docker.io')).toEqual([
      'GET /v2/',
      'HEAD /v2/library/nginx/manifests/1 Bearer',
      `GET /v2/library/nginx/manifests/${root.descriptor.digest} Bearer`,
      `GET /v2/library/nginx/blobs/${layer.descriptor.digest} Bearer`,
    ]);
    expect(asked('production.cloudflare.docker.com')).toEqual(['GET /registry-v2/data?X-Amz-Signature=abc']);
  });

  it('takes the login that is known as index.docker.io', async () => {
    const login = { username: 'user', password: 'hub pässword' };
    const { open, asked } = await start(
      hub('user-hub-token', (request, response) => {
        const isKnown = request.headers.authorization === basic(login);
        response.writeHead(isKnown ? 200 : 401).end(JSON.stringify({ token: 'user-hub-token', ...issued }));
      }),
    );
    const credentials = new FixedCredentials('index.docker.io', login);
    await pull(open({ credentials }).repository('docker.io', 'library/nginx'));
    expect(asked('auth.docker.io')).toEqual([
      'GET /token?service=registry.docker.io&account=user Basic',
      'GET /token?service=registry.docker.io&scope=repository%3Alibrary%2Fnginx%3Apull&account=user Basic',
    ]);
  });
});

describe('Quay', () => {
  const login = { username: 'team+robot', password: 'quay robot token' };

  it('gives tokens at its own host, without a lifetime', async () => {
    const { open, asked } = await start({
      'quay.io': {
        ...repository(
          'team/app',
          (authorization) => authorization === 'Bearer quay-token',
          reply(401, { 'WWW-Authenticate': 'Bearer realm="https://quay.io/v2/auth",service="quay.io"' }, 'true'),
        ),
        'GET /v2/auth': (request, response) => {
          const isKnown = request.headers.authorization === basic(login);
          response.writeHead(isKnown ? 200 : 401).end(JSON.stringify({ token: 'quay-token' }));
        },
      },
    });
    await pull(open({ credentials: new FixedCredentials('quay.io', login) }).repository('quay.io', 'team/app'));
    expect(asked('quay.io').filter((line) => line.includes('/auth'))).toEqual([
      'GET /v2/auth?service=quay.io&account=team%2Brobot Basic',
      'GET /v2/auth?service=quay.io&scope=repository%3Ateam%2Fapp%3Apull&account=team%2Brobot Basic',
    ]);
  });
});

describe("Amazon's ECR", () => {
  const host = '123456789012.dkr.ecr.eu-central-1.amazonaws.com';
  const challenge = reply(
    401,
    { 'WWW-Authenticate': `Basic realm="https://${host}/",service="ecr.amazonaws.com"` },
    'Not Authorized',
  );
  const aws = (password: string): PasswordCredentials => ({ username: 'AWS', password });

  it('takes the user AWS with a long password, with every request', async () => {
    const login = aws('eyJwYXlsb2FkIjoi'.repeat(120));
    const script = repository('team/app', (authorization) => authorization === basic(login), challenge);
    const { open, asked } = await start({ [host]: script });
    await pull(open({ credentials: new FixedCredentials(host, login) }).repository(host, 'team/app'));
    expect(asked(host)).toEqual([
      'GET /v2/',
      'GET /v2/ Basic',
      'HEAD /v2/team/app/manifests/1 Basic',
      `GET /v2/team/app/manifests/${root.descriptor.digest} Basic`,
      `GET /v2/team/app/blobs/${layer.descriptor.digest} Basic`,
    ]);
  });

  it('lets a password end after 12 hours: the helper is asked again, once for all who wait', async () => {
    let valid = aws('first ecr password');
    const script = repository('team/app', (authorization) => authorization === basic(valid), challenge);
    const { open, asked } = await start({ [host]: script });
    const runs: boolean[] = [];
    const credentials: CredentialSource = {
      find: (_registry, request) => {
        runs.push(request?.isFresh === true);
        return Promise.resolve(valid);
      },
    };
    const from = open({ credentials }).repository(host, 'team/app');
    await pull(from);
    valid = aws('second ecr password');
    const before = asked(host).length;
    await Promise.all([1, 2, 3, 4].map(() => pull(from)));
    expect(runs).toEqual([false, true]);
    const probes = asked(host)
      .slice(before)
      .filter((line) => line.startsWith('GET /v2/ '));
    expect(probes).toEqual(['GET /v2/ Basic']);
    valid = aws('a password that nobody gives');
    runs.length = 0;
    const refused = open({ credentials: new FixedCredentials(host, aws('second ecr password')) });
    await expectError('AUTH_FAILED', '401', () => refused.repository(host, 'team/app').resolve('1'));
  });
});

describe("Google's GCR", () => {
  const key = JSON.stringify({ type: 'service_account', private_key: '-----BEGIN PRIVATE KEY-----\nABC\n', x: 'ü' });
  const login = { username: '_json_key', password: key };

  it('takes a whole JSON key as the password of _json_key', async () => {
    const { open, asked } = await start({
      'gcr.io': {
        ...repository(
          'project/app',
          (authorization) => authorization === 'Bearer ya29.gcr-token',
          reply(401, { 'WWW-Authenticate': 'Bearer realm="https://gcr.io/v2/token",service="gcr.io"' }),
        ),
        'GET /v2/token': (request, response) => {
          const isKnown = request.headers.authorization === basic(login);
          const answer = { token: 'ya29.gcr-token', expires_in: 3600, issued_at: '2026-01-01T00:00:00Z' };
          response.writeHead(isKnown ? 200 : 401, { Date: 'Thu, 01 Jan 2026 00:00:00 GMT' });
          response.end(JSON.stringify(answer));
        },
      },
    });
    await pull(open({ credentials: new FixedCredentials('gcr.io', login) }).repository('gcr.io', 'project/app'));
    expect(asked('gcr.io').filter((line) => line.includes('/token'))).toEqual([
      'GET /v2/token?service=gcr.io&account=_json_key Basic',
      'GET /v2/token?service=gcr.io&scope=repository%3Aproject%2Fapp%3Apull&account=_json_key Basic',
    ]);
  });
});

describe('Harbor', () => {
  const host = 'harbor.example:30003';
  const robot = { username: 'robot$edge', password: 'Robot secret 1' };
  const script: Script = {
    ...repository(
      'spectro-images/app',
      (authorization) => authorization === 'Bearer robot-jwt',
      // Whatever login is not good, an expired token too, is answered with Basic.
      ({ headers }, response) => {
        const bearer = `Bearer realm="https://${host}/service/token",service="harbor-registry"`;
        const challenge = headers.authorization === undefined ? bearer : 'Basic realm="harbor"';
        response.writeHead(401, { 'WWW-Authenticate': challenge, 'Set-Cookie': 'sid=abc; Path=/; HttpOnly' });
        response.end('{"errors":[{"code":"UNAUTHORIZED","message":"unauthorized to access repository"}]}');
      },
    ),
    'GET /service/token': (request, response) => {
      const isKnown = request.headers.authorization === basic(robot);
      const hasScope = (request.url ?? '').includes('scope=');
      if (!isKnown && !hasScope) return void response.writeHead(401).end('{"errors":[{"code":"UNAUTHORIZED"}]}');
      const token = isKnown ? 'robot-jwt' : 'anonymous-jwt';
      response.end(JSON.stringify({ token, access_token: '', expires_in: 1800, issued_at: new Date().toISOString() }));
    },
  };

  it('takes a robot, logged in once before the first scope', async () => {
    const { open, asked } = await start({ [host]: script });
    await pull(open({ credentials: new FixedCredentials(host, robot) }).repository(host, 'spectro-images/app'));
    expect(asked(host).filter((line) => line.includes('/service/'))).toEqual([
      'GET /service/token?service=harbor-registry&account=robot%24edge Basic',
      'GET /service/token?service=harbor-registry&scope=repository%3Aspectro-images%2Fapp%3Apull&account=robot%24edge Basic',
    ]);
  });

  it('has an anonymous token for a wrong password: it is not taken for a login, and is tried once', async () => {
    const { open, asked } = await start({ [host]: script });
    const credentials = new FixedCredentials(host, { ...robot, password: 'Robot secret 2' });
    const client = open({ credentials });
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const all = await Promise.allSettled(
      names.map((name) => client.repository(host, `spectro-images/${name}`).resolve('1')),
    );
    for (const result of all) expect(result).toMatchObject({ status: 'rejected', reason: { code: 'AUTH_FAILED' } });
    expect(asked(host)).toEqual(['GET /v2/', 'GET /service/token?service=harbor-registry&account=robot%24edge Basic']);
  });
});

describe('a registry without a login', () => {
  it('is asked nothing about one, whatever is known for it', async () => {
    const { open, asked } = await start({ 'open.example': repository('team/app', () => true, reply(500)) });
    const credentials = new FixedCredentials('open.example', { username: 'user', password: 'unused w0rd' });
    await pull(open({ credentials }).repository('open.example', 'team/app'));
    expect(asked('open.example')).toEqual([
      'GET /v2/',
      'HEAD /v2/team/app/manifests/1',
      `GET /v2/team/app/manifests/${root.descriptor.digest}`,
      `GET /v2/team/app/blobs/${layer.descriptor.digest}`,
    ]);
  });
});
