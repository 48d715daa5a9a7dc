import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { FixedCredentials } from '../../src/oci-client/credentials.ts';
import { blob, noise } from '../support/graphs.ts';
import { type Answer, reply, type Script, startScriptedServer } from '../support/scripted-server.ts';
import { useServedRepository } from './served-repository.ts';

const serve = useServedRepository();
const uploads = '/v2/team/app/blobs/uploads/';
const { descriptor, bytes } = blob(noise(250_000, 'uploaded'));
const digestQuery = `digest=${encodeURIComponent(descriptor.digest)}`;

interface Received {
  /** Of each PUT and PATCH, in bytes. */
  readonly bodies: Buffer[];
  /** Of requests whose body never ended. */
  brokenOffBytes: number;
}

/** A registry that takes uploads at `location`, and knows what it got. */
function uploadScript(location: string, received: Received): Script {
  const take =
    (status: number): Answer =>
    async (request, response) => {
      const chunks: Buffer[] = [];
      try {
        for await (const chunk of request) chunks.push(chunk as Buffer);
      } catch {
        received.brokenOffBytes += Buffer.concat(chunks).byteLength;
        return;
      }
      received.bodies.push(Buffer.concat(chunks));
      response.writeHead(status, { Location: location }).end();
    };
  const path = location.replace(/\?.*$/, '');
  return {
    [`POST ${uploads}`]: reply(202, { Location: location }),
    [`PATCH ${path}`]: take(202),
    [`PUT ${path}`]: take(201),
    [`DELETE ${path}`]: reply(204),
  };
}

function pieces(content: Buffer, size = 10_000): Readable {
  return Readable.from(
    Array.from({ length: Math.ceil(content.byteLength / size) }, (_, at) =>
      content.subarray(at * size, (at + 1) * size),
    ),
  );
}

describe('a push of a blob', () => {
  it('is a POST and one PUT with its length, as application/octet-stream, at the Location with its query', async () => {
    const received: Received = { bodies: [], brokenOffBytes: 0 };
    const { repository, server } = await serve(uploadScript('/upload/1?_state=a%2Fb+c&x', received));
    await repository.push(descriptor, pieces(bytes));
    expect(received.bodies).toHaveLength(1);
    expect(received.bodies[0]?.equals(bytes)).toBe(true);
    expect(server.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'GET /v2/',
      `HEAD /v2/team/app/blobs/${descriptor.digest}`,
      `POST ${uploads}`,
      `PUT /upload/1?_state=a%2Fb+c&x&${digestQuery}`,
    ]);
    const { headers } = server.requests.at(-1) ?? {};
    expect(headers).toMatchObject({ 'content-length': '250000', 'content-type': 'application/octet-stream' });
    expect(headers).not.toHaveProperty('transfer-encoding');
    expect(server.requests[2]?.headers['content-length']).toBe('0');
  });

  it('goes in parts, and then an empty PUT, where a size is given', async () => {
    const received: Received = { bodies: [], brokenOffBytes: 0 };
    const { repository, server } = await serve(uploadScript('/upload/1', received), { chunkBytes: 100_000 });
    await repository.push(descriptor, pieces(bytes, 33_333));
    expect(received.bodies.map((body) => body.byteLength)).toEqual([100_000, 100_000, 50_000, 0]);
    expect(Buffer.concat(received.bodies).equals(bytes)).toBe(true);
    const sent = server.requests.filter(({ method }) => method === 'PATCH' || method === 'PUT');
    expect(
      sent.map(({ method, path, headers }) => [method, path, headers['content-range'], headers['content-length']]),
    ).toEqual([
      ['PATCH', '/upload/1', '0-99999', '100000'],
      ['PATCH', '/upload/1', '100000-199999', '100000'],
      ['PATCH', '/upload/1', '200000-249999', '50000'],
      ['PUT', `/upload/1?${digestQuery}`, undefined, '0'],
    ]);
  });

  it('makes no part smaller than the registry wants it', async () => {
    const received: Received = { bodies: [], brokenOffBytes: 0 };
    const script = {
      ...uploadScript('/upload/1', received),
      [`POST ${uploads}`]: reply(202, { Location: '/upload/1', 'OCI-Chunk-Min-Length': '200000' }),
    };
    const { repository } = await serve(script, { chunkBytes: 1000 });
    await repository.push(descriptor, pieces(bytes));
    expect(received.bodies.map((body) => body.byteLength)).toEqual([200_000, 50_000, 0]);
  });

  it('passes over a least size of parts that is no number', async () => {
    const received: Received = { bodies: [], brokenOffBytes: 0 };
    const script = {
      ...uploadScript('/upload/1', received),
      [`POST ${uploads}`]: reply(202, { Location: '/upload/1', 'OCI-Chunk-Min-Length': 'some' }),
    };
    const { repository } = await serve(script, { chunkBytes: 100_000 });
    await repository.push(descriptor, pieces(bytes));
    expect(received.bodies.map((body) => body.byteLength)).toEqual([100_000, 100_000, 50_000, 0]);
  });

  it('goes to another origin where the Location leads there, without the login', async () => {
    const received: Received = { bodies: [], brokenOffBytes: 0 };
    const storage = await startScriptedServer(uploadScript('/upload/1', received));
    const basic: Answer = (request, response) => {
      response
        .writeHead(request.headers.authorization === undefined ? 401 : 200, { 'WWW-Authenticate': 'Basic' })
        .end();
    };
    const script: Script = {
      'GET /v2/': basic,
      [`POST ${uploads}`]: reply(202, { Location: `${storage.url}/upload/1?sig=x` }),
    };
    try {
      const credentials = {
        find: (host: string) => new FixedCredentials(host, { username: 'u', password: 'Harbor-12345' }).find(host),
      };
      const { repository, server } = await serve(script, { credentials });
      await repository.push(descriptor, pieces(bytes));
      expect(received.bodies[0]?.equals(bytes)).toBe(true);
      expect(server.requests.at(-1)).toMatchObject({
        method: 'POST',
        headers: { authorization: expect.any(String) as string },
      });
      expect(storage.requests).toHaveLength(1);
      expect(storage.requests[0]?.headers).not.toHaveProperty('authorization');
    } finally {
      await storage.stop();
    }
  });

  it('asks first whether the registry has it, but not where the caller knows that it does not', async () => {
    const received: Received = { bodies: [], brokenOffBytes: 0 };
    const { repository, server } = await serve(uploadScript('/upload/1', received));
    await repository.push(descriptor, pieces(bytes), { isAbsent: true });
    expect(received.bodies).toHaveLength(1);
    expect(server.requests.map(({ method }) => method)).toEqual(['GET', 'POST', 'PUT']);
  });

  it('leaves content alone that the registry has', async () => {
    const { repository, server } = await serve({
      [`HEAD /v2/team/app/blobs/${descriptor.digest}`]: reply(200, { 'Content-Length': '250000' }),
    });
    let reads = 0;
    const content = new Readable({ read: () => void (reads += 1) });
    await repository.push(descriptor, content);
    expect([content.destroyed, reads]).toEqual([true, 0]);
    expect(server.requests.every(({ method }) => method === 'GET' || method === 'HEAD')).toBe(true);
  });
});

describe.each([
  ['in one piece', undefined],
  ['in parts', 100_000],
])('a push of a wrong blob, %s', (_how, chunkBytes) => {
  it.each([
    ['of another digest', Buffer.concat([Buffer.alloc(1, 'x'), bytes.subarray(1)]), 'DIGEST_MISMATCH'],
    ['that is too short', bytes.subarray(0, 249_999), 'SIZE_MISMATCH'],
    ['that is too long', Buffer.concat([bytes, Buffer.alloc(1)]), 'SIZE_MISMATCH'],
  ])('%s is never sent to its end, and the upload is cancelled', async (_what, content, code) => {
    const received: Received = { bodies: [], brokenOffBytes: 0 };
    const { repository, server } = await serve(uploadScript('/upload/1?_state=s', received), { chunkBytes });
    await expect(repository.push(descriptor, pieces(content))).rejects.toMatchObject({ code });
    const complete = Buffer.concat(received.bodies).byteLength;
    expect(complete + received.brokenOffBytes).toBeLessThan(250_000);
    const deletes = server.requests.filter(({ method }) => method === 'DELETE');
    expect(deletes.map(({ path }) => path)).toEqual(['/upload/1?_state=s']);
    const puts = server.requests.filter(({ method }) => method === 'PUT');
    expect(puts).toHaveLength(chunkBytes === undefined ? 1 : 0);
  });

  it('that should have been empty is not sent at all', async () => {
    const received: Received = { bodies: [], brokenOffBytes: 0 };
    const { repository } = await serve(uploadScript('/upload/1', received), { chunkBytes });
    await expect(repository.push(blob('').descriptor, pieces(bytes))).rejects.toMatchObject({ code: 'SIZE_MISMATCH' });
    expect(received).toEqual({ bodies: [], brokenOffBytes: 0 });
  });

  it('passes on why the content could not be read, and cancels the upload', async () => {
    const received: Received = { bodies: [], brokenOffBytes: 0 };
    const { repository, server } = await serve(uploadScript('/upload/1', received), { chunkBytes });
    const reason = Object.assign(new Error('the disk is gone'), { code: 'ECONNRESET' });
    const content = Readable.from(
      (function* () {
        yield bytes.subarray(0, 120_000);
        throw reason;
      })(),
    );
    await expect(repository.push(descriptor, content)).rejects.toBe(reason);
    expect(server.requests.map(({ method }) => method)).toContain('DELETE');
  });
});

describe('a push that the registry does not take', () => {
  it.each([
    [413, 'CONTENT_TOO_LARGE'],
    [403, 'ACCESS_DENIED'],
    [503, 'REGISTRY_UNAVAILABLE'],
    [400, 'REGISTRY_ERROR'],
  ])('fails with what the registry says: %i gives %s', async (status, code) => {
    const body = '{"errors":[{"code":"DENIED","message":"will exceed the configured upper limit"}]}';
    const { repository } = await serve({
      [`POST ${uploads}`]: reply(202, { Location: '/u' }),
      'PUT /u': reply(status, {}, body),
    });
    const content = pieces(bytes);
    await expect(repository.push(descriptor, content)).rejects.toMatchObject({
      code,
      message: expect.stringContaining('upper limit') as string,
    });
    expect(content.destroyed).toBe(true);
  });

  it('fails where there is no place to go on at', async () => {
    const { repository } = await serve({ [`POST ${uploads}`]: reply(202) });
    await expect(repository.push(descriptor, pieces(bytes))).rejects.toMatchObject({
      code: 'REGISTRY_ERROR',
      message: expect.stringContaining('Location') as string,
    });
  });

  it('fails where the registry takes no more: TIMEOUT', async () => {
    const { repository } = await serve(
      { [`POST ${uploads}`]: reply(202, { Location: '/u' }), 'PUT /u': (request) => void request.pause() },
      { headersTimeoutMs: 500 },
    );
    const large = blob(noise(20_000_000, 'stalled'));
    const content = pieces(large.bytes, 65_536);
    await expect(repository.push(large.descriptor, content)).rejects.toMatchObject({ code: 'TIMEOUT' });
    expect(content.destroyed).toBe(true);
  });

  it('is not taken for stalled when the content is slow to come', async () => {
    const received: Received = { bodies: [], brokenOffBytes: 0 };
    const { repository } = await serve(uploadScript('/upload/1', received), { headersTimeoutMs: 1_000 });
    const slow = async function* (): AsyncGenerator<Buffer> {
      yield bytes.subarray(0, 100_000);
      await sleep(2_500);
      yield bytes.subarray(100_000);
    };
    await repository.push(descriptor, Readable.from(slow()));
    expect(received.bodies[0]?.equals(bytes)).toBe(true);
  });

  it('ends with ABORTED when the signal is aborted in the middle', async () => {
    const controller = new AbortController();
    const { repository } = await serve({
      [`POST ${uploads}`]: reply(202, { Location: '/u' }),
      'PUT /u': (request) => void request.once('data', () => controller.abort()),
    });
    const content = pieces(bytes);
    await expect(repository.push(descriptor, content, { signal: controller.signal })).rejects.toMatchObject({
      code: 'ABORTED',
    });
    expect(content.destroyed).toBe(true);
  });
});

describe('a mount', () => {
  const asked = `${uploads}?mount=${encodeURIComponent(descriptor.digest)}&from=team%2Fother`;

  it('is true where the registry has mounted the blob', async () => {
    const { repository, server } = await serve({ [`POST ${uploads}`]: reply(201, { Location: '/x' }) });
    expect(await repository.mount(descriptor, 'team/other')).toBe(true);
    expect(server.requests.at(-1)).toMatchObject({ method: 'POST', path: asked });
  });

  it('is false where the registry opens an upload, which is cancelled', async () => {
    const { repository, server } = await serve({
      [`POST ${uploads}`]: reply(202, { Location: '/u?_state=1' }),
      'DELETE /u': reply(204),
    });
    expect(await repository.mount(descriptor, 'team/other')).toBe(false);
    expect(server.requests.at(-1)).toMatchObject({ method: 'DELETE', path: '/u?_state=1' });
  });

  it.each([403, 404, 405])('is false where the registry answers %i', async (status) => {
    const { repository } = await serve({ [`POST ${uploads}`]: reply(status) });
    expect(await repository.mount(descriptor, 'team/other')).toBe(false);
  });

  it('that fails otherwise is an error', async () => {
    const { repository } = await serve({ [`POST ${uploads}`]: reply(503) });
    await expect(repository.mount(descriptor, 'team/other')).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE' });
  });

  it('is offered to repositories of the same registry', async () => {
    const { repository, client, server } = await serve({});
    expect(repository.repositoryName).toBe('team/app');
    expect(client.repository(server.host, 'team/other').mountScope).toBe(repository.mountScope);
    expect(client.repository('other.example', 'team/other').mountScope).not.toBe(repository.mountScope);
  });
});
