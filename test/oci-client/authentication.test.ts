import { Readable } from 'node:stream';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { readContent } from '../../src/content/verify.ts';
import type { Credentials, CredentialSource } from '../../src/oci-client/credentials.ts';
import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { passTime } from '../support/clock.ts';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { blob, type Content, contentsOf, image, noise, pushAll } from '../support/graphs.ts';
import { startRegistryProxy } from '../support/registry-proxy.ts';
import { startTokenServer, type TokenServer } from '../support/token-server.ts';

const password = 'correct horse battery';
const identityToken = 'identity-token-of-robot';
const clients: RegistryClient[] = [];

function open(registry: { readonly host: string }, credentials?: Credentials): RegistryClient {
  const source: CredentialSource = {
    find: (host) => Promise.resolve(host === registry.host ? credentials : undefined),
  };
  const client = new RegistryClient({ plainHttp: 'all', credentials: source });
  clients.push(client);
  return client;
}

afterAll(async () => {
  for (const client of clients) await client.close();
});

describe('a registry with basic authentication', () => {
  let registry: DockerRegistry;

  beforeAll(async () => {
    registry = await startDockerRegistry({ basicAuth: { username: 'robot', password } });
  });
  afterAll(async () => registry.stop());

  it('is read and written with the right password', async () => {
    const client = open(registry, { username: 'robot', password });
    await client.ping(registry.host);
    const repository = client.repository(registry.host, 'team/app');
    const root = image([blob(noise(10_000, 'basic'))]);
    await pushAll(repository, root);
    await repository.tag(root.descriptor, '1');
    expect((await repository.resolve('1')).digest).toBe(root.descriptor.digest);
  });

  it('refuses a wrong password: AUTH_FAILED, and it is tried once, however much goes on at a time', async () => {
    const proxy = await startRegistryProxy(registry.host);
    try {
      const client = open(proxy, { username: 'robot', password: 'wrong password' });
      const repository = client.repository(proxy.host, 'team/app');
      const tasks = Array.from({ length: 8 }, (_, at) => repository.exists(blob(`content ${at}`).descriptor));
      for (const result of await Promise.allSettled(tasks)) {
        expect(result).toMatchObject({ status: 'rejected', reason: { code: 'AUTH_FAILED' } });
      }
      await expect(client.ping(proxy.host)).rejects.toMatchObject({ code: 'AUTH_FAILED' });
      const logins = proxy.answers.filter(({ headers }) => headers.authorization !== undefined);
      expect(logins.map(({ method, path, status }) => [method, path, status])).toEqual([['GET', '/v2/', 401]]);
    } finally {
      await proxy.stop();
    }
  });

  it('wants a login: AUTH_FAILED without one, with a hint; a ping is fine', async () => {
    const client = open(registry);
    await client.ping(registry.host);
    await expect(client.repository(registry.host, 'team/app').resolve('1')).rejects.toMatchObject({
      code: 'AUTH_FAILED',
      message: expect.stringContaining('401') as string,
      hint: expect.stringContaining('credentials') as string,
    });
  });
});

describe('a registry with token authentication', () => {
  let tokens: TokenServer;
  let registry: DockerRegistry;
  let seen = 0;

  beforeAll(async () => {
    tokens = await startTokenServer({
      users: { robot: password, reader: password },
      identityTokens: { [identityToken]: 'robot' },
      grant: (user, repository, actions) => {
        if (user === 'robot') return actions;
        return user === 'reader' || repository.startsWith('public/') ? actions.filter((name) => name === 'pull') : [];
      },
    });
    registry = await startDockerRegistry({ tokenAuth: tokens });
    await pushAll(open(registry, { username: 'robot', password }).repository(registry.host, 'public/app'), content);
    await open(registry, { username: 'robot', password })
      .repository(registry.host, 'public/app')
      .tag(content.descriptor, '1');
  });
  beforeEach(() => {
    seen = tokens.requests.length;
  });
  afterAll(async () => {
    await registry.stop();
    await tokens.stop();
  });

  const content: Content = image([blob(noise(10_000, 'token'))]);
  const requests = () => tokens.requests.slice(seen);

  it('is read and written with a password', async () => {
    const client = open(registry, { username: 'robot', password });
    await client.ping(registry.host);
    const repository = client.repository(registry.host, 'team/app');
    await pushAll(repository, content);
    await repository.tag(content.descriptor, '1');
    expect(await readContent(repository, content.descriptor)).toEqual(content.bytes);
    const scopes = requests().map((request) => request.scopes);
    expect(scopes).toEqual([[], ['repository:team/app:pull,push'], ['repository:team/app:pull']]);
    expect(requests().every(({ user, method }) => user === 'robot' && method === 'GET')).toBe(true);
  });

  it('is read and written with an identity token, by OAuth2', async () => {
    const client = open(registry, { identityToken });
    await client.ping(registry.host);
    const repository = client.repository(registry.host, 'team/oauth');
    await pushAll(repository, content);
    expect(await repository.exists(content.descriptor)).toBe(true);
    expect(requests().length).toBeGreaterThan(1);
    expect(requests().every(({ user, method }) => user === 'robot' && method === 'POST')).toBe(true);
  });

  it('is read anonymously where it is public', async () => {
    const repository = open(registry).repository(registry.host, 'public/app');
    expect((await repository.resolve('1')).digest).toBe(content.descriptor.digest);
    expect(requests()).toEqual([
      { method: 'GET', user: undefined, scopes: ['repository:public/app:pull'], status: 200 },
    ]);
  });

  it('refuses the anonymous elsewhere: AUTH_FAILED', async () => {
    const repository = open(registry).repository(registry.host, 'private/app');
    await expect(repository.resolve('1')).rejects.toMatchObject({ code: 'AUTH_FAILED' });
  });

  it('refuses a wrong password: AUTH_FAILED, and one request for a token, however many wait for it', async () => {
    const client = open(registry, { username: 'robot', password: 'wrong password' });
    const tasks = ['a', 'b', 'c', 'd'].map((name) => client.repository(registry.host, `team/${name}`).resolve('1'));
    const results = await Promise.allSettled(tasks);
    for (const result of results) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'AUTH_FAILED' } });
    }
    expect(requests()).toHaveLength(1);
  });

  it('refuses an identity token that it does not know: AUTH_FAILED', async () => {
    const client = open(registry, { identityToken: 'identity-token-of-nobody' });
    await expect(client.ping(registry.host)).rejects.toMatchObject({ code: 'AUTH_FAILED' });
  });

  it('refuses what the user may not do: ACCESS_DENIED, for the password is right', async () => {
    const repository = open(registry, { username: 'reader', password }).repository(registry.host, 'team/app');
    const { descriptor, bytes } = blob(noise(1000, 'denied'));
    await expect(repository.push(descriptor, Readable.from([bytes]))).rejects.toMatchObject({
      code: 'ACCESS_DENIED',
      message: expect.stringContaining('UNAUTHORIZED') as string,
    });
  });

  it('gives one token for many requests at once, for each set of scopes', async () => {
    const repository = open(registry, { username: 'robot', password }).repository(registry.host, 'team/many');
    const contents = Array.from({ length: 12 }, (_, at) => blob(noise(500, `many ${at}`)));
    await Promise.all(contents.map(({ descriptor, bytes }) => repository.push(descriptor, Readable.from([bytes]))));
    expect(requests().map(({ scopes }) => scopes)).toEqual([[], ['repository:team/many:pull,push']]);
  });

  it('asks for the right to read from the other repository when it mounts', async () => {
    const client = open(registry, { username: 'robot', password });
    const [layer] = contentsOf(content);
    const repository = client.repository(registry.host, 'team/mounted');
    if (layer === undefined) throw new Error('the image has no content');
    expect(await repository.mount(layer.descriptor, 'public/app')).toBe(true);
    expect(await repository.exists(layer.descriptor)).toBe(true);
    expect(requests().map(({ scopes }) => scopes)).toContainEqual([
      'repository:team/mounted:pull,push',
      'repository:public/app:pull',
    ]);
  });
});

describe('tokens that do not last', () => {
  it('are renewed ahead of their end', async () => {
    const tokens = await startTokenServer({ users: { robot: password }, expiresInSeconds: 300 });
    const registry = await startDockerRegistry({ tokenAuth: tokens });
    try {
      const repository = open(registry, { username: 'robot', password }).repository(registry.host, 'team/app');
      const { descriptor, bytes } = blob(noise(1000, 'short'));
      await repository.push(descriptor, Readable.from([bytes]));
      const first = tokens.requests.length;
      await repository.exists(descriptor);
      await repository.exists(descriptor);
      expect(tokens.requests.length - first).toBe(1);
      passTime(280_000, 'monotonic');
      expect(await repository.exists(descriptor)).toBe(true);
      expect(tokens.requests.length - first).toBe(2);
    } finally {
      await registry.stop();
      await tokens.stop();
    }
  });
});

describe('a token service that answers a wrong password with an anonymous token, as Harbor does', () => {
  it('does not deceive: the login is tried without a scope first', async () => {
    const tokens = await startTokenServer({ users: { admin: password }, anonymousOnWrongPassword: true });
    const registry = await startDockerRegistry({ tokenAuth: tokens });
    try {
      const client = open(registry, { username: 'admin', password: 'wrong password' });
      await expect(client.repository(registry.host, 'team/app').resolve('1')).rejects.toMatchObject({
        code: 'AUTH_FAILED',
        message: expect.stringContaining('incorrect username or password') as string,
      });
      expect(tokens.requests).toEqual([{ method: 'GET', user: undefined, scopes: [], status: 401 }]);
    } finally {
      await registry.stop();
      await tokens.stop();
    }
  });
});
