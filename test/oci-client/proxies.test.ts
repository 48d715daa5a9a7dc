import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { proxiesFromEnvironment } from '../../src/oci-client/proxies.ts';
import { RegistryClient, type RegistryClientOptions } from '../../src/oci-client/registry-client.ts';
import { redact } from '../../src/redaction.ts';
import { CertificateAuthority } from '../support/certificates.ts';
import { expectError } from '../support/expect-error.ts';
import { type ForwardProxy, type ForwardProxyOptions, startForwardProxy } from '../support/forward-proxy.ts';
import { blob, noise } from '../support/graphs.ts';
import { reply, type ScriptedServer, startScriptedServer } from '../support/scripted-server.ts';
import { readAll } from '../support/store-contract.ts';

const password = 'pr0xy-pässword';
const content = blob(noise(200_000, 'proxied'));
const path = `/v2/team/app/blobs/${content.descriptor.digest}`;

let authority: CertificateAuthority;
let secure: ScriptedServer;
let plain: ScriptedServer;
let names: Record<string, string>;
const ended: (() => Promise<void>)[] = [];

beforeAll(async () => {
  authority = await CertificateAuthority.create();
  const script = { [`GET ${path}`]: reply(200, {}, content.bytes) };
  secure = await startScriptedServer(script, { tls: await authority.issue(['registry.test', '127.0.0.1']) });
  plain = await startScriptedServer(script);
  names = { 'registry.test:443': secure.host, 'registry.test:80': plain.host };
});
afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});
afterAll(async () => {
  await secure.stop();
  await plain.stop();
  await authority.remove();
});

async function useProxy(options: ForwardProxyOptions = {}): Promise<ForwardProxy> {
  const proxy = await startForwardProxy({ names, ...options });
  ended.push(() => proxy.stop());
  return proxy;
}

function open(environment: Record<string, string>, options: RegistryClientOptions = {}): RegistryClient {
  const proxies = proxiesFromEnvironment(environment);
  const client = new RegistryClient({ ca: authority.certificate, retries: 0, ...options, proxies });
  ended.push(() => client.close());
  return client;
}

async function fetched(client: RegistryClient, registry = 'registry.test'): Promise<boolean> {
  return (await readAll(await client.repository(registry, 'team/app').fetch(content.descriptor))).equals(content.bytes);
}

describe('a registry behind a proxy', () => {
  it('with TLS is reached through a tunnel, whose name only the proxy knows', async () => {
    const proxy = await useProxy();
    expect(await fetched(open({ HTTPS_PROXY: `http://${proxy.host}` }))).toBe(true);
    expect(new Set(proxy.requests)).toEqual(new Set(['CONNECT registry.test:443']));
  });

  it('in plain HTTP is asked for by its whole address: proxies tunnel to port 443 only', async () => {
    const proxy = await useProxy();
    expect(await fetched(open({ http_proxy: proxy.host }, { plainHttp: 'all' }))).toBe(true);
    expect(proxy.requests).toEqual([`GET http://registry.test/v2/`, `GET http://registry.test${path}`]);
  });

  it('is reached with the login that the proxy wants, which is a secret', async () => {
    const proxy = await useProxy({ login: `user:${password}` });
    const address = `http://user:${encodeURIComponent(password)}@${proxy.host}`;
    expect(await fetched(open({ HTTPS_PROXY: address, HTTP_PROXY: address }))).toBe(true);
    expect(await fetched(open({ HTTP_PROXY: address }, { plainHttp: 'all' }))).toBe(true);
    expect(redact(`${password} ${Buffer.from(`user:${password}`).toString('base64')}`)).toBe('[redacted] [redacted]');
  });

  it('is reached through a proxy with TLS, whose certificate is checked', async () => {
    const proxy = await useProxy({ tls: await authority.issue(['localhost']) });
    const host = proxy.host.replace('127.0.0.1', 'localhost');
    const environment = { HTTPS_PROXY: `https://${host}` };
    expect(await fetched(open(environment))).toBe(true);
    await expectError('TLS_UNTRUSTED', `through the proxy ${host}`, () =>
      fetched(open(environment, { ca: undefined })),
    );
  });

  it('has its certificate checked through the tunnel too', async () => {
    const proxy = await useProxy({ names: { 'other.test:443': secure.host } });
    await expectError('TLS_UNTRUSTED', 'other.test', () =>
      fetched(open({ HTTPS_PROXY: `http://${proxy.host}` }), 'other.test'),
    );
  });
});

describe('a proxy that does not help', () => {
  it.each([
    ['AUTH_FAILED', 'the proxy answered 407', /user and password/, { login: 'user:other' }],
    ['REGISTRY_ERROR', 'the proxy answered 403', /does not allow/, { refusal: 403 }],
    ['REGISTRY_UNAVAILABLE', 'the proxy answered 503', /cannot reach/, { refusal: 503 }],
  ] as const)('is named: %s, %s', async (code, part, hint, options) => {
    const proxy = await useProxy(options);
    const client = open({ HTTPS_PROXY: `http://user:${encodeURIComponent(password)}@${proxy.host}` });
    const error = await expectError(code, part, () => client.ping('registry.test'));
    expect(error.message).toContain(`registry.test (through the proxy ${proxy.host})`);
    expect(error.hint).toMatch(hint);
    expect(error.message).not.toContain(password);
  });

  it('is named where it refuses a request in plain HTTP', async () => {
    const proxy = await useProxy({ login: 'user:other' });
    const client = open({ HTTP_PROXY: proxy.host }, { plainHttp: 'all' });
    await expectError('AUTH_FAILED', 'the proxy answered 407', () => client.ping('registry.test'));
  });

  it('because it is not there is named', async () => {
    const proxy = await startForwardProxy();
    await proxy.stop();
    await expectError('REGISTRY_UNAVAILABLE', `through the proxy ${proxy.host}`, () =>
      open({ HTTPS_PROXY: `http://${proxy.host}` }).ping('registry.test'),
    );
  });

  it('because it says nothing is a timeout', async () => {
    const proxy = await useProxy({ hangs: true });
    const client = open({ HTTPS_PROXY: `http://${proxy.host}` }, { connectTimeoutMs: 300 });
    await expectError('TIMEOUT', `through the proxy ${proxy.host}`, () => client.ping('registry.test'));
  });
});

describe('which proxy is used', () => {
  const environment = {
    HTTPS_PROXY: 'http://secure.proxy:3128',
    HTTP_PROXY: 'plain.proxy:8080',
    NO_PROXY: 'internal.example, 10.0.0.0/8',
  };
  it.each([
    ['https://ghcr.io/', 'http://secure.proxy:3128'],
    ['http://ghcr.io/', 'http://plain.proxy:8080'],
    ['https://harbor.internal.example:30003/', undefined],
    ['http://10.1.2.3:5000/', undefined],
    ['https://[::1]:5000/', undefined],
    ['https://localhost:5000/', undefined],
  ])('for %s is %s', (url, proxy) => {
    expect(proxiesFromEnvironment(environment).find(new URL(url))?.origin).toBe(proxy);
  });

  it('comes from the variable in lower case first; an empty one is none', () => {
    const url = new URL('https://ghcr.io/');
    const find = (names: Record<string, string>) => proxiesFromEnvironment(names).find(url)?.host;
    expect(find({ HTTPS_PROXY: 'upper:1', https_proxy: 'lower:1' })).toBe('lower:1');
    expect(find({ HTTPS_PROXY: 'upper:1', https_proxy: '' })).toBe('upper:1');
    expect(find({ HTTP_PROXY: 'http:1' })).toBeUndefined();
    expect(find({})).toBeUndefined();
  });

  it.each([
    'socks5://user:s3cret-word@proxy:1080',
    'http://',
    'http://user:s3cret%word@proxy',
    'http://user:s3cret-word@',
  ])('has to be an HTTP proxy: %s is CONFIG_INVALID, and not shown', async (HTTPS_PROXY) => {
    const error = await expectError('CONFIG_INVALID', 'HTTPS_PROXY', () => proxiesFromEnvironment({ HTTPS_PROXY }));
    expect(`${error.message} ${String(error.stack)}`).not.toContain('s3cret');
  });
});
