import { Readable } from 'node:stream';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { RegistryClient, type RegistryClientOptions } from '../../src/oci-client/registry-client.ts';
import { CertificateAuthority } from '../support/certificates.ts';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { blob, image, noise, pushAll } from '../support/graphs.ts';
import { reply, startScriptedServer } from '../support/scripted-server.ts';

let authority: CertificateAuthority;
let registry: DockerRegistry;
let plain: DockerRegistry;
const clients: RegistryClient[] = [];

beforeAll(async () => {
  authority = await CertificateAuthority.create();
  registry = await startDockerRegistry({ tls: await authority.issue(['127.0.0.1', 'localhost']) });
  plain = await startDockerRegistry();
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
});
afterAll(async () => {
  await registry.stop();
  await plain.stop();
  await authority.remove();
});

function open(options: RegistryClientOptions = {}): RegistryClient {
  const client = new RegistryClient(options);
  clients.push(client);
  return client;
}

describe('a registry with a certificate of its own CA', () => {
  it('is read and written where that CA is given', async () => {
    const repository = open({ ca: authority.certificate }).repository(registry.host, 'team/app');
    const root = image([blob(noise(50_000, 'tls'))]);
    await pushAll(repository, root);
    await repository.tag(root.descriptor, '1');
    expect((await repository.resolve('1')).digest).toBe(root.descriptor.digest);
  });

  it('is not trusted without it: the error names the reason and the way out', async () => {
    await expect(open().ping(registry.host)).rejects.toMatchObject({
      code: 'TLS_UNTRUSTED',
      message: expect.stringMatching(/127\.0\.0\.1.*unable to verify the first certificate/) as string,
      hint: expect.stringMatching(/--ca-cert.*--insecure/) as string,
    });
  });

  it('is not trusted with another CA', async () => {
    const other = await CertificateAuthority.create();
    try {
      await expect(open({ ca: other.certificate }).ping(registry.host)).rejects.toMatchObject({
        code: 'TLS_UNTRUSTED',
      });
    } finally {
      await other.remove();
    }
  });

  it('is used without any check where insecure is said', async () => {
    await open({ insecure: true }).ping(registry.host);
  });

  it('may stand second in a file of several CAs', async () => {
    const other = await CertificateAuthority.create();
    try {
      await open({ ca: `${other.certificate}\nsome text\n${authority.certificate}` }).ping(registry.host);
    } finally {
      await other.remove();
    }
  });
});

describe('a certificate that is signed by a trusted CA', () => {
  it.each([
    ['for another name', ['other.example'], 2, /altnames/i, /name/],
    ['that has expired', ['127.0.0.1'], -1, /expired/i, /clock/],
  ])('but is one %s is not trusted', async (_what, names, days, reason, hint) => {
    const certificate = await authority.issue(names, { days });
    const server = await startScriptedServer({}, { tls: certificate });
    try {
      await expect(open({ ca: authority.certificate }).ping(server.host)).rejects.toMatchObject({
        code: 'TLS_UNTRUSTED',
        message: expect.stringMatching(reason) as string,
        hint: expect.stringMatching(hint) as string,
      });
    } finally {
      await server.stop();
    }
  });
});

describe('plain HTTP', () => {
  it('is used for the hosts that are named, and for no other', async () => {
    await open({ plainHttp: [plain.host] }).ping(plain.host);
    await open({ plainHttp: ['127.0.0.1'] }).ping(plain.host);
    await open({ plainHttp: 'all' }).ping(plain.host);
    await open({ plainHttp: ['127.0.0.1:1', 'other.example'], ca: authority.certificate }).ping(registry.host);
  });

  it('has to be said, for this machine too: the error says how', async () => {
    await expect(open().ping(plain.host)).rejects.toMatchObject({
      code: 'REGISTRY_ERROR',
      hint: expect.stringContaining(`--plain-http=${plain.host}`) as string,
    });
  });

  it('is not what a registry with TLS understands: the error says so', async () => {
    const repository = open({ plainHttp: 'all' }).repository(registry.host, 'team/app');
    const { descriptor, bytes } = blob('x');
    await expect(repository.push(descriptor, Readable.from([bytes]))).rejects.toThrow();
    await expect(repository.tags()).rejects.toMatchObject({
      message: expect.stringContaining('HTTPS server') as string,
      hint: expect.stringContaining('--plain-http') as string,
    });
  });
});

describe('a registry with TLS that leads to plain HTTP', () => {
  const { descriptor, bytes } = blob('content');
  const path = `/v2/team/app/blobs/${descriptor.digest}`;

  it.each(['redirect', 'token service', 'place for an upload'])('is not followed to its %s', async (way) => {
    const target = await startScriptedServer({ [`GET ${path}`]: reply(200, {}, bytes) });
    const server = await startScriptedServer(
      {
        ...(way === 'redirect' ? { [`GET ${path}`]: reply(307, { Location: `${target.url}${path}` }) } : {}),
        ...(way === 'token service'
          ? { 'GET /v2/': reply(401, { 'WWW-Authenticate': `Bearer realm="${target.url}/token"` }) }
          : {}),
        'POST /v2/team/app/blobs/uploads/': reply(202, { Location: `${target.url}/upload` }),
      },
      { tls: await authority.issue(['127.0.0.1']) },
    );
    try {
      const repository = open({ ca: authority.certificate }).repository(server.host, 'team/app');
      const using =
        way === 'place for an upload'
          ? repository.push(descriptor, Readable.from([bytes]))
          : repository.fetch(descriptor);
      await expect(using).rejects.toMatchObject({
        code: 'REGISTRY_ERROR',
        message: expect.stringContaining(target.host) as string,
        hint: expect.stringContaining('external_url') as string,
      });
      expect(target.requests).toEqual([]);
    } finally {
      await server.stop();
      await target.stop();
    }
  });
});

describe('a redirect from HTTPS to HTTP', () => {
  it('is not followed, though that host may be spoken to in plain HTTP', async () => {
    const { descriptor, bytes } = blob('content');
    const path = `/v2/team/app/blobs/${descriptor.digest}`;
    const target = await startScriptedServer({ [`GET ${path}`]: reply(200, {}, bytes) });
    const server = await startScriptedServer(
      { [`GET ${path}`]: reply(307, { Location: `${target.url}${path}` }) },
      { tls: await authority.issue(['127.0.0.1']) },
    );
    try {
      const client = open({ ca: authority.certificate, plainHttp: [target.host] });
      await expect(client.repository(server.host, 'team/app').fetch(descriptor)).rejects.toMatchObject({
        code: 'REGISTRY_ERROR',
        message: expect.stringContaining('from HTTPS to HTTP') as string,
      });
      expect(target.requests).toEqual([]);
    } finally {
      await server.stop();
      await target.stop();
    }
  });
});

describe('the CA that is given', () => {
  it.each(['', 'no certificate', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'])(
    'has to be a certificate: %j is CONFIG_INVALID',
    (ca) => {
      expect(() => new RegistryClient({ ca })).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    },
  );
});
