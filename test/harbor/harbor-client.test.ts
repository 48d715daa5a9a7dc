import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';

import { HarborClient } from '../../src/harbor/harbor-client.ts';
import { FixedCredentials } from '../../src/oci-client/credentials.ts';
import { harborAdmin, HarborFront } from '../support/harbor-front.ts';

const developer = { name: 'dev', password: 'dev-password', rights: { theirs: ['pull', 'push'] } } as const;
const creator = { name: 'robot$creator', password: 'robot-password', mayCreateProjects: true };

let front: HarborFront;
const clients = new Map<string, HarborClient>();

beforeAll(async () => {
  front = await HarborFront.start({ users: [harborAdmin, developer, creator] });
});

beforeEach(() => {
  front.state.knobs.readOnly = false;
  front.state.knobs.quotaBytes = -1;
  front.state.knobs.unhealthy.clear();
  front.intercept = undefined;
});

afterEach(() => void vi.useRealTimers());

afterAll(async () => {
  expect(front.state.violations).toEqual([]);
  for (const client of clients.values()) await client.close();
  await front.close();
});

function clientOf(user: { readonly name: string; readonly password: string } = harborAdmin): HarborClient {
  const { name, password } = user;
  const key = `${name}:${password}`;
  const credentials = new FixedCredentials(front.host, { username: name, password });
  const client = clients.get(key) ?? new HarborClient(front.host, { ca: front.ca, credentials });
  clients.set(key, client);
  return client;
}

describe('health of a Harbor', () => {
  it('answers a ping without a login', async () => {
    const client = new HarborClient(front.host, { ca: front.ca });
    await expect(client.ping()).resolves.toBeUndefined();
    await client.close();
  });

  it('is read from the components, not from the status 200', async () => {
    front.state.knobs.unhealthy.add('redis');
    const health = await clientOf().health();
    expect(health.isHealthy).toBe(false);
    expect(health.components.filter(({ isHealthy }) => !isHealthy)).toEqual([
      { name: 'redis', isHealthy: false, error: 'failed to check redis' },
    ]);
    expect(health.components.length).toBeGreaterThan(4);
  });

  it('keeps it from being ready where an essential component is ill', async () => {
    front.state.knobs.unhealthy.add('database').add('trivy');
    await expect(clientOf().ensureReady()).rejects.toMatchObject({
      code: 'REGISTRY_UNAVAILABLE',
      exitCode: 75,
      message: `Harbor at ${front.host} is not healthy: database (failed to check database)`,
    });
  });

  it('does not matter where only the scanner and the portal are ill', async () => {
    front.state.knobs.unhealthy.add('trivy').add('portal');
    await expect(clientOf().ensureReady()).resolves.toBeUndefined();
  });
});

describe('what a Harbor tells of itself', () => {
  it('has a version and the read-only mode', async () => {
    front.state.knobs.readOnly = true;
    expect(await clientOf().systemInfo()).toEqual({
      version: 'v2.15.2-e0a4b1c2',
      externalUrl: front.url,
      isReadOnly: true,
    });
  });

  it('is an error with the address where something else answers', async () => {
    const server = createServer((_request, response) => response.end('<html>hello</html>')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const client = new HarborClient(host, { plainHttp: 'all' });
    await expect(client.health()).rejects.toMatchObject({
      code: 'HARBOR_ERROR',
      message: expect.stringContaining(host) as string,
      hint: expect.stringContaining('--registry') as string,
    });
    await client.close();
    server.close();
  });

  it('includes the X-Request-ID where its own answer says nothing', async () => {
    front.intercept = (_request, response) => {
      response.writeHead(500, { 'x-request-id': 'b3c1-77', 'content-type': 'application/json' });
      response.end('{"errors":[{"code":"UNKNOWN","message":"internal server error"}]}');
      return true;
    };
    await expect(clientOf().systemInfo()).rejects.toMatchObject({
      code: 'HARBOR_ERROR',
      message: expect.stringMatching(/500.*UNKNOWN: internal server error.*X-Request-ID b3c1-77/) as string,
    });
  });
});

describe('a project', () => {
  it('is created once, private and without a limit of its own', async () => {
    const client = clientOf();
    front.requests.length = 0;
    expect(await client.projectExists('spectro-images')).toBe(false);
    expect(await client.ensureProject('spectro-images')).toBe(true);
    expect(await client.projectExists('spectro-images')).toBe(true);
    expect(await client.ensureProject('spectro-images')).toBe(false);
    expect(front.state.projects.get('spectro-images')).toMatchObject({ public: false, quotaBytes: undefined });
    expect(front.count('POST', /^\/api\/v2\.0\/projects$/)).toBe(1);
  });

  it("has Harbor's default quota, unless it is to have another one, or none", async () => {
    front.state.knobs.quotaBytes = 7_000_000;
    const quotaOf = async (name: string, storageLimit?: number): Promise<number | undefined> => {
      await clientOf().ensureProject(name, { storageLimit });
      return (await clientOf().projectQuota(name))?.hardBytes;
    };
    expect(await quotaOf('by-default')).toBe(7_000_000);
    expect(await quotaOf('limited', 5_000_000)).toBe(5_000_000);
    expect(await quotaOf('without-limit', -1)).toBeUndefined();
  });

  it('is public and limited where that is asked for', async () => {
    await clientOf().ensureProject('public-one', { public: true, storageLimit: 5_000_000 });
    expect(front.state.projects.get('public-one')).toMatchObject({ public: true, quotaBytes: 5_000_000 });
  });

  it('that somebody else creates at the same time is no error', async () => {
    front.intercept = (request) => {
      if (request.method === 'POST') front.state.addProject({ name: 'racing' });
      return false;
    };
    expect(await clientOf().ensureProject('racing')).toBe(false);
  });

  it('is created by whoever may, and needs no rights where it is there', async () => {
    expect(await clientOf(creator).ensureProject('of-a-robot')).toBe(true);
    expect(await clientOf(developer).ensureProject('of-a-robot')).toBe(false);
  });

  it('that the user may not create is an ACCESS_DENIED that says who may', async () => {
    await expect(clientOf(developer).ensureProject('forbidden')).rejects.toMatchObject({
      code: 'ACCESS_DENIED',
      message: expect.stringMatching(/cannot create project 'forbidden'.*403.*Only system admin/) as string,
      hint: expect.stringContaining('administrator') as string,
    });
  });

  it('with a bad name is a HARBOR_ERROR that says what a name is', async () => {
    await expect(clientOf().ensureProject('Spectro Images')).rejects.toMatchObject({
      code: 'HARBOR_ERROR',
      message: expect.stringMatching(/'Spectro Images'.*400.*not in lower case/) as string,
      hint: expect.stringContaining('lower-case') as string,
    });
  });

  it('cannot be created in read-only mode: try again later', async () => {
    front.state.knobs.readOnly = true;
    await expect(clientOf().ensureProject('later')).rejects.toMatchObject({ code: 'READ_ONLY', exitCode: 75 });
    await expect(clientOf().ensureReady()).rejects.toMatchObject({ code: 'READ_ONLY' });
  });

  it('tells its quota, also where its name is a number', async () => {
    front.state.addProject({ name: 'first' });
    const project = front.state.addProject({ name: '1', quotaBytes: 1000 });
    project.content.set('sha256:some', 400);
    expect(await clientOf().projectQuota('1')).toEqual({ hardBytes: 1000, usedBytes: 400 });
    expect(await clientOf().projectQuota('first')).toEqual({ hardBytes: undefined, usedBytes: 0 });
    await expect(clientOf().projectQuota('absent')).rejects.toMatchObject({ code: 'HARBOR_ERROR' });
  });
});

describe('a login', () => {
  it('with a wrong password is AUTH_FAILED, and so is the right one just afterwards', async () => {
    // Harbor's clock stands still: how soon afterwards is not the machine's to say.
    vi.useFakeTimers({ toFake: ['Date'] });
    const wrong = clientOf({ name: 'robot$creator', password: 'not-the-password' });
    await expect(wrong.projectExists('any')).rejects.toMatchObject({ code: 'AUTH_FAILED' });
    const error: unknown = await clientOf(creator)
      .ensureProject('any')
      .catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'AUTH_FAILED', hint: expect.stringContaining('1.5 s') as string });
    expect(String(error)).not.toContain(creator.password);
  });

  it('keeps no cookie', async () => {
    const client = clientOf();
    await client.systemInfo();
    await client.ensureProject('without-cookies');
    expect(front.state.projects.has('without-cookies')).toBe(true);
    expect(front.state.violations).toEqual([]);
  });

  it('is not sent to a server whose certificate is not trusted', async () => {
    const before = front.requests.length;
    const client = new HarborClient(front.host);
    await expect(client.systemInfo()).rejects.toMatchObject({ code: 'TLS_UNTRUSTED' });
    expect(front.requests.length).toBe(before);
    await client.close();
  });
});
