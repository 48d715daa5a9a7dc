import { createServer } from 'node:http';
import { Readable } from 'node:stream';

import { describe, expect, it } from 'vitest';

import { readContent } from '../../src/content/verify.ts';
import { CredentialChain, FixedCredentials } from '../../src/oci-client/credentials.ts';
import { CertificateAuthority } from '../support/certificates.ts';
import { expectError } from '../support/expect-error.ts';
import { blob } from '../support/graphs.ts';
import { type Answer, reply, type Script, startScriptedServer } from '../support/scripted-server.ts';
import { content, fetched, has, opener, useMirrors } from './mirror-setup.ts';

const { digest } = content.descriptor;
const { later, start, hostsToml } = useMirrors();

function broken(afterBytes: number): Answer {
  return (request, response) => {
    response.writeHead(200, { 'Content-Length': content.bytes.byteLength, 'Accept-Ranges': 'bytes' });
    response.write(content.bytes.subarray(0, afterBytes), () => request.socket.destroy());
  };
}

/** Answers a Range as it is asked for. */
const ranged: Answer = ({ headers }, response) => {
  const start = Number(/^bytes=(\d+)-/.exec(headers.range ?? '')?.[1] ?? 0);
  const size = content.bytes.byteLength;
  const body = content.bytes.subarray(start);
  response.writeHead(206, { 'Content-Range': `bytes ${start}-${size - 1}/${size}`, 'Content-Length': body.byteLength });
  response.end(body);
};

describe('the mirrors of a hosts.toml', () => {
  it('are asked before the registry, which they are told of', async () => {
    const network = await start({ 'mirror.example': has('team/app'), 'origin.example': has('team/app') });
    const client = opener(network, await hostsToml('origin.example', '[host."https://mirror.example"]'))();
    expect(await fetched(client)).toBe(true);
    expect(network.asked('mirror.example')).toEqual(['GET /v2/', `GET /v2/team/app/blobs/${digest}?ns=origin.example`]);
    expect(network.asked('origin.example')).toEqual([]);
    expect(Object.fromEntries(client.served)).toEqual({
      'mirror.example': {
        ...{ requests: 1, bytes: content.bytes.byteLength, failures: 0 },
        repositories: ['origin.example/team/app'],
      },
    });
  });

  it('are asked in order; what one does not have, or fails with, the next one may have', async () => {
    const network = await start({
      'one.example': { [`GET /v2/team/app/blobs/${digest}`]: reply(404) },
      'two.example:5000': { [`GET /v2/team/app/blobs/${digest}`]: reply(503) },
      'three.example': { [`GET /v2/team/app/blobs/${digest}`]: reply(403) },
      'origin.example': has('team/app'),
    });
    const source = await hostsToml(
      'origin.example',
      '[host."https://one.example"]\n[host."https://two.example:5000"]\n[host."https://three.example"]\n',
    );
    const told: string[] = [];
    const client = opener(network, source)({ onRetry: ({ message }) => told.push(message) });
    expect(await fetched(client)).toBe(true);
    for (const host of ['one.example', 'two.example:5000', 'three.example', 'origin.example']) {
      expect(network.asked(host).filter((line) => line.includes('/blobs/'))).toHaveLength(1);
    }
    expect(Object.fromEntries(client.served)).toEqual({
      'two.example:5000': { requests: 0, bytes: 0, failures: 1, repositories: [] },
      'origin.example': {
        ...{ requests: 1, bytes: content.bytes.byteLength, failures: 0 },
        repositories: ['origin.example/team/app'],
      },
    });
    expect(told).toEqual([expect.stringMatching(/^others are asked first: .* two\.example:5000 answered 503/)]);
  });

  it('that cannot be reached, or trusted, are passed over, and not asked first again', async () => {
    const network = await start({ 'origin.example': has('team/app') });
    const stranger = await CertificateAuthority.create();
    const untrusted = await startScriptedServer(has('team/app'), { tls: await stranger.issue(['127.0.0.1']) });
    const gone = await startScriptedServer({});
    await gone.stop();
    later(
      () => untrusted.stop(),
      () => stranger.remove(),
    );
    let connections = 0;
    const dead = createServer().on('connection', (socket) => {
      connections += 1;
      socket.destroy();
    });
    await new Promise<void>((resolve) => dead.listen(0, '127.0.0.1', resolve));
    later(() => new Promise((resolve) => dead.close(() => resolve())));
    const address = dead.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const source = await hostsToml(
      'origin.example',
      `[host."https://${gone.host}"]\n[host."https://${untrusted.host}"]\n[host."http://127.0.0.1:${port}"]\n`,
    );
    const client = opener(network, source)();
    expect(await fetched(client)).toBe(true);
    expect(connections).toBeGreaterThan(0);
    const before = connections;
    expect(await fetched(client)).toBe(true);
    expect(connections).toBe(before);
    expect(untrusted.requests).toEqual([]);
  });

  it('that break off in the middle are followed by the next one, from there on', async () => {
    const network = await start({
      'mirror.example': has('team/app', { blobs: broken(100_000) }),
      'origin.example': has('team/app', { blobs: ranged }),
    });
    const source = await hostsToml('origin.example', '[host."https://mirror.example"]');
    const client = opener(network, source)({ retries: 3, retryBaseMs: 1 });
    expect(await fetched(client)).toBe(true);
    const range = network.server('origin.example').requests.at(-1)?.headers.range;
    const from = Number(/^bytes=(\d+)-299999$/.exec(range ?? '')?.[1]);
    expect(from).toBeGreaterThan(0);
    const bytes = Object.fromEntries([...client.served].map(([host, served]) => [host, served.bytes]));
    expect(bytes).toEqual({ 'mirror.example': from, 'origin.example': 300_000 - from });
  });

  it('are tried again where nobody else can be reached', async () => {
    let asked = 0;
    const network = await start({
      'mirror.example': has('team/app', {
        blobs: (request, response) =>
          (asked += 1) < 3 ? reply(503)(request, response) : reply(200, {}, content.bytes)(request, response),
      }),
    });
    const source = await hostsToml('origin.example', '[host."https://mirror.example"]');
    expect(await fetched(opener(network, source)({ retries: 3, retryBaseMs: 1 }))).toBe(true);
    expect(asked).toBe(3);
  });

  it('are all named where none has it', async () => {
    const network = await start({ 'mirror.example': {}, 'origin.example': {} });
    const source = await hostsToml('origin.example', '[host."https://mirror.example"]');
    const client = opener(network, source)();
    const error = await expectError('NOT_FOUND', 'origin.example answered 404', () => fetched(client));
    expect(error.message).toContain('mirror.example answered 404');
    expect(await client.repository('origin.example', 'team/app').exists(content.descriptor)).toBe(false);
  });

  it('prove nothing by what they do not have, while the registry itself cannot be reached', async () => {
    const network = await start({ 'mirror.example': {} });
    const source = await hostsToml('origin.example', '[host."https://mirror.example"]');
    const repository = opener(network, source)().repository('origin.example', 'team/app');
    for (const time of ['first', 'second']) {
      await expectError('REGISTRY_UNAVAILABLE', 'origin.example', () => repository.exists(content.descriptor)).catch(
        (cause: unknown) => Promise.reject(new Error(`the ${time} time`, { cause })),
      );
    }
  });

  it('that may not resolve tags are left out there: the registry says what a tag is', async () => {
    const [old, current] = [`sha256:${'0'.repeat(64)}`, `sha256:${'1'.repeat(64)}`];
    const network = await start({
      'mirror.example': has('team/app', { tag: old }),
      'origin.example': has('team/app', { tag: current }),
    });
    const mirror = (capabilities: string) => `[host."https://mirror.example"]\ncapabilities = ${capabilities}\n`;
    const pulls = opener(network, await hostsToml('origin.example', mirror('["pull"]')))();
    expect((await pulls.repository('origin.example', 'team/app').resolve('1')).digest).toBe(current);
    expect(await fetched(pulls)).toBe(true);
    expect([...pulls.served.keys()]).toEqual(['origin.example', 'mirror.example']);
    const resolves = opener(network, await hostsToml('origin.example', mirror('["pull", "Resolve"]')))();
    expect((await resolves.repository('origin.example', 'team/app').resolve('1')).digest).toBe(old);
  });

  it.each([
    ['other', Buffer.alloc(300_000), {}],
    ['shorter', Buffer.alloc(1000), { 'Content-Length': '1000' }],
    ['longer', Buffer.alloc(400_000), { 'Content-Length': '400000' }],
    ['much longer', Buffer.alloc(2_000_000), {}],
  ])('that give %s content under a digest are passed over', async (_what, bytes, headers) => {
    const network = await start({
      'mirror.example': has('team/app', { blobs: reply(200, headers, bytes) }),
      'origin.example': has('team/app'),
    });
    const client = opener(network, await hostsToml('origin.example', '[host."https://mirror.example"]'))();
    const repository = client.repository('origin.example', 'team/app');
    expect((await readContent(repository, content.descriptor)).equals(content.bytes)).toBe(true);
    expect((await readContent(repository, content.descriptor)).equals(content.bytes)).toBe(true);
    expect(network.asked('mirror.example').filter((line) => line.includes('/blobs/'))).toHaveLength(1);
  });

  it('cannot give other content under a digest, where nobody else has it', async () => {
    const network = await start({
      'mirror.example': has('team/app', { blobs: reply(200, {}, Buffer.alloc(300_000)) }),
      'origin.example': {},
    });
    const client = opener(network, await hostsToml('origin.example', '[host."https://mirror.example"]'))();
    await expectError('DIGEST_MISMATCH', digest, () =>
      readContent(client.repository('origin.example', 'team/app'), content.descriptor),
    );
  });

  it('are not written to, unless they say so', async () => {
    const uploads = {
      'POST /v2/team/app/blobs/uploads/': reply(202, { Location: '/up' }),
      'PUT /up': reply(201),
    };
    const network = await start({ 'mirror.example': uploads, 'origin.example': uploads });
    const small = blob('small');
    const push = async (text: string) => {
      const client = opener(network, await hostsToml('origin.example', text))();
      await client.repository('origin.example', 'team/app').push(small.descriptor, Readable.from([small.bytes]));
    };
    await push('[host."https://mirror.example"]');
    expect(network.asked('mirror.example')).toEqual([]);
    expect(network.asked('origin.example').filter((line) => line.startsWith('PUT'))).toHaveLength(1);
    await push('[host."https://mirror.example"]\ncapabilities = ["push"]');
    expect(network.asked('mirror.example').filter((line) => line.startsWith('PUT'))).toHaveLength(1);
    expect(network.asked('origin.example').filter((line) => line.startsWith('PUT'))).toHaveLength(1);
  });

  it('get their own logins, never the registry’s', async () => {
    const basic = (user: string) => `Basic ${Buffer.from(`${user}:word of ${user}`).toString('base64')}`;
    const guarded = (user: string, status: number): Script => ({
      'GET /v2/': ({ headers }, response) => {
        const isKnown = headers.authorization === basic(user);
        response.writeHead(isKnown ? 200 : 401, isKnown ? {} : { 'WWW-Authenticate': 'Basic realm="x"' }).end();
      },
      [`GET /v2/team/app/blobs/${digest}`]: reply(status, {}, content.bytes),
    });
    const network = await start({ 'mirror.example': guarded('mirror', 404), 'origin.example': guarded('origin', 200) });
    const source = await hostsToml('origin.example', '[host."https://mirror.example"]');
    const of = (user: string) =>
      new FixedCredentials(`${user}.example`, { username: user, password: `word of ${user}` });
    expect(
      await fetched(opener(network, source)({ credentials: new CredentialChain([of('mirror'), of('origin')]) })),
    ).toBe(true);
    expect(await fetched(opener(network, source)({ credentials: of('origin') }))).toBe(true);
    for (const user of ['mirror', 'origin']) {
      const sent = network.server(`${user}.example`).requests.map(({ headers }) => headers.authorization);
      expect(new Set(sent.filter((header) => header !== undefined))).toEqual(new Set([basic(user)]));
    }
  });

  it('may have an API below a path: with /v2 there, or at the path itself', async () => {
    const network = await start({
      'harbor.example': {
        [`GET /hub/v2/team/app/blobs/${digest}`]: reply(404),
        [`GET /v2/proxy/team/app/blobs/${digest}`]: reply(200, {}, content.bytes),
      },
    });
    const text = '[host."https://harbor.example/hub"]\n[host."harbor.example/v2/proxy"]\noverride_path = true\n';
    expect(await fetched(opener(network, await hostsToml('origin.example', text))())).toBe(true);
    expect(network.asked('harbor.example')).toEqual([
      'GET /hub/v2/',
      `GET /hub/v2/team/app/blobs/${digest}?ns=origin.example`,
      'GET /v2/',
      `GET /v2/proxy/team/app/blobs/${digest}?ns=origin.example`,
    ]);
  });

  it('come from _default for all other registries, and a folder may name the port in either way', async () => {
    const network = await start({
      'default.example': has('team/app'),
      'one.example': has('team/app'),
      'two.example': has('team/app'),
    });
    await hostsToml('_default', '[host."https://default.example"]');
    await hostsToml('a.example_5000_', '[host."https://one.example"]');
    const source = await hostsToml('b.example:5000', '[host."https://two.example"]');
    const client = opener(network, source)();
    for (const registry of ['docker.io', 'a.example:5000', 'b.example:5000']) await fetched(client, registry);
    expect([...client.served.keys()]).toEqual(['default.example', 'one.example', 'two.example']);
  });

  it('get the headers of the file, and nobody that they redirect to does', async () => {
    const network = await start({
      'mirror.example': { [`GET /v2/team/app/blobs/${digest}`]: reply(307, { Location: 'https://cdn.example/x' }) },
      'cdn.example': { 'GET /x': reply(200, {}, content.bytes) },
    });
    const text = `[host."https://mirror.example"]\n[host."https://mirror.example".header]\nX-Access-Token = "mirror-header-secret"\nX-Many = ["1", "2"]\n`;
    expect(await fetched(opener(network, await hostsToml('origin.example', text))())).toBe(true);
    const sent = network.server('mirror.example').requests.map(({ headers }) => headers);
    expect(sent.map((headers) => [headers['x-access-token'], headers['x-many']])).toEqual(
      sent.map(() => ['mirror-header-secret', '1, 2']),
    );
    expect(network.server('cdn.example').requests[0]?.headers).not.toHaveProperty('x-access-token');
  });
});
