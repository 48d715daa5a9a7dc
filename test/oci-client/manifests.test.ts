import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';

import { describe, expect, it } from 'vitest';

import { mediaTypes } from '../../src/content/media-types.ts';
import { blob, image, noise } from '../support/graphs.ts';
import { type Answer, reply, type Script } from '../support/scripted-server.ts';
import { useServedRepository } from './served-repository.ts';

const serve = useServedRepository();
const { descriptor, bytes } = image([blob('a layer')]);
const { mediaType, digest, size } = descriptor;
const described = { 'Content-Type': mediaType, 'Docker-Content-Digest': digest, 'Content-Length': `${size}` };
const at = (reference: string): string => `/v2/team/app/manifests/${reference}`;

function without(name: string): Record<string, string> {
  return Object.fromEntries(Object.entries(described).filter(([key]) => key !== name));
}

describe('resolve', () => {
  it('takes digest, size and type from the answer to a HEAD that accepts all kinds of manifests', async () => {
    const { repository, server } = await serve({ [`HEAD ${at('1.27')}`]: reply(200, described) });
    expect(await repository.resolve('1.27')).toEqual({ mediaType, digest, size });
    expect(server.requests.at(-1)?.headers.accept?.split(', ').sort()).toEqual(
      [mediaTypes.ociIndex, mediaTypes.ociManifest, mediaTypes.dockerManifest, mediaTypes.dockerManifestList].sort(),
    );
  });

  it.each([
    ['no digest', without('Docker-Content-Digest')],
    ['what is no digest', { ...described, 'Docker-Content-Digest': 'sha256:abc' }],
    ['no size', without('Content-Length')],
    ['no type', without('Content-Type')],
  ])('reads the manifest itself where the answer has %s', async (_what, headers) => {
    const { repository } = await serve({
      [`HEAD ${at('1.27')}`]: reply(200, headers),
      [`GET ${at('1.27')}`]: reply(200, { 'Content-Type': `${mediaType}; charset=utf-8` }, bytes),
    });
    expect(await repository.resolve('1.27')).toEqual({ mediaType, digest, size });
  });

  it('finds the type in the manifest where the registry does not tell it', async () => {
    const { repository } = await serve({
      [`HEAD ${at('1.27')}`]: reply(200),
      [`GET ${at('1.27')}`]: reply(200, { 'Content-Type': 'application/json' }, bytes),
    });
    expect(await repository.resolve('1.27')).toEqual({ mediaType, digest, size });
  });

  it('of a digest checks that this is what comes', async () => {
    const other = blob('other').descriptor.digest;
    const { repository } = await serve({
      [`HEAD ${at(digest)}`]: reply(200, { ...described, 'Docker-Content-Digest': other }),
      [`HEAD ${at(other)}`]: reply(200),
      [`GET ${at(other)}`]: reply(200, { 'Content-Type': mediaType }, bytes),
    });
    for (const reference of [digest, other]) {
      await expect(repository.resolve(reference)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    }
  });

  it('computes the digest with the algorithm that was asked for', async () => {
    const sha512 = `sha512:${createHash('sha512').update(bytes).digest('hex')}`;
    const { repository } = await serve({
      [`HEAD ${at(sha512)}`]: reply(200),
      [`GET ${at(sha512)}`]: reply(200, { 'Content-Type': mediaType }, bytes),
    });
    expect((await repository.resolve(sha512)).digest).toBe(sha512);
  });

  it('says NOT_FOUND with the name that there is not', async () => {
    const { repository, server } = await serve({});
    await expect(repository.resolve('1.28')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      exitCode: 3,
      message: expect.stringContaining(`${server.host}/team/app:1.28`) as string,
    });
  });

  it.each(['', '../../x', 'a/b', 'sha256:abc', 'a b', '1.27?x=y'])(
    'refuses %j before anything is sent',
    async (reference) => {
      const { repository, server } = await serve({});
      await expect(repository.resolve(reference)).rejects.toMatchObject({ code: 'REFERENCE_INVALID' });
      expect(server.requests).toEqual([]);
    },
  );

  it('reads at most 4 MiB', async () => {
    const { repository } = await serve({
      [`HEAD ${at('large')}`]: reply(200),
      [`GET ${at('large')}`]: reply(200, { 'Content-Type': mediaType }, Buffer.alloc(4 * 1024 * 1024 + 1, ' ')),
    });
    await expect(repository.resolve('large')).rejects.toMatchObject({ code: 'CONTENT_TOO_LARGE' });
  });
});

/** Takes manifests, and remembers them by path. */
function taking(taken: Map<string, { type: string | undefined; body: Buffer }>, ...paths: string[]): Script {
  const take: Answer = async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    taken.set(request.url ?? '', { type: request.headers['content-type'], body: Buffer.concat(chunks) });
    response.writeHead(201, { 'OCI-Subject': 'sha256:x' }).end();
  };
  return Object.fromEntries(paths.map((path) => [`PUT ${path}`, take]));
}

describe('a push of a manifest', () => {
  it('puts its very bytes under its digest, with its type', async () => {
    const taken = new Map<string, { type: string | undefined; body: Buffer }>();
    const spaced = blob(bytes.toString().replaceAll(',', ' ,\n'), mediaType);
    const { repository } = await serve(taking(taken, at(spaced.descriptor.digest)));
    await repository.push(spaced.descriptor, Readable.from([spaced.bytes]));
    expect([...taken]).toEqual([[at(spaced.descriptor.digest), { type: mediaType, body: spaced.bytes }]]);
  });

  it.each([
    ['DIGEST_MISMATCH', Buffer.from(bytes.toString().toUpperCase())],
    ['SIZE_MISMATCH', bytes.subarray(1)],
  ])('that is not as promised is not sent: %s', async (code, content) => {
    const { repository, server } = await serve({});
    await expect(repository.push(descriptor, Readable.from([content]))).rejects.toMatchObject({ code });
    expect(server.requests.filter(({ method }) => method === 'PUT')).toEqual([]);
  });

  it('of over 4 MiB is refused unread', async () => {
    const large = blob(noise(4 * 1024 * 1024 + 1, 'large'), mediaType);
    const content = Readable.from([large.bytes]);
    const { repository } = await serve({});
    await expect(repository.push(large.descriptor, content)).rejects.toMatchObject({
      code: 'CONTENT_TOO_LARGE',
      message: expect.stringContaining('4194304') as string,
    });
    expect(content.destroyed).toBe(true);
  });

  it('that is none is refused', async () => {
    const wrong = blob('{"schemaVersion":2}', mediaType);
    const { repository } = await serve({});
    await expect(repository.push(wrong.descriptor, Readable.from([wrong.bytes]))).rejects.toMatchObject({
      code: 'CONTENT_INVALID',
    });
  });

  it('fails with what the registry says', async () => {
    const body = '{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown","detail":"sha256:abc"}]}';
    const { repository } = await serve({ [`PUT ${at(digest)}`]: reply(400, {}, body) });
    await expect(repository.push(descriptor, Readable.from([bytes]))).rejects.toMatchObject({
      code: 'REGISTRY_ERROR',
      message: expect.stringContaining('MANIFEST_BLOB_UNKNOWN: blob unknown (sha256:abc)') as string,
    });
  });
});

describe('tag', () => {
  const content: Script = { [`GET ${at(digest)}`]: reply(200, { 'Content-Type': mediaType }, bytes) };

  it('puts the very bytes of the manifest under the tag', async () => {
    const taken = new Map<string, { type: string | undefined; body: Buffer }>();
    const { repository } = await serve({ ...content, ...taking(taken, at('1.27')) });
    await repository.tag(descriptor, '1.27');
    expect([...taken]).toEqual([[at('1.27'), { type: mediaType, body: bytes }]]);
  });

  it('leaves a tag alone that is right: Harbor refuses an immutable one even for the same content', async () => {
    const { repository, server } = await serve({
      [`HEAD ${at('1.27')}`]: reply(200, described),
      [`PUT ${at('1.27')}`]: reply(412, {}, '{"errors":[{"code":"PRECONDITION","message":"immutable"}]}'),
    });
    await repository.tag(descriptor, '1.27');
    expect(server.requests.filter(({ method }) => method !== 'HEAD' && method !== 'GET')).toEqual([]);
  });

  it('moves a tag that names something else', async () => {
    const taken = new Map<string, { type: string | undefined; body: Buffer }>();
    const { repository } = await serve({
      ...content,
      ...taking(taken, at('1.27')),
      [`HEAD ${at('1.27')}`]: reply(200, { ...described, 'Docker-Content-Digest': blob('old').descriptor.digest }),
    });
    await repository.tag(descriptor, '1.27');
    expect([...taken.keys()]).toEqual([at('1.27')]);
  });

  it('does not put a manifest that the registry lies about', async () => {
    const lie = Buffer.from(bytes.toString().replace('layer', 'liar!'));
    const { repository, server } = await serve({
      [`GET ${at(digest)}`]: reply(200, { 'Content-Type': mediaType }, lie),
    });
    await expect(repository.tag(descriptor, '1.27')).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    expect(server.requests.map(({ method }) => method)).not.toContain('PUT');
  });

  it('refuses blobs and what is not a tag', async () => {
    const { repository } = await serve({});
    await expect(repository.tag(blob('x').descriptor, '1')).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    await expect(repository.tag(descriptor, 'a/b')).rejects.toMatchObject({ code: 'REFERENCE_INVALID' });
  });
});

describe('a repository', () => {
  it.each(['', 'Team/App', '../x', 'a//b', 'a'.repeat(256)])('cannot be named %j', async (name) => {
    const { client } = await serve({});
    expect(() => client.repository('host.example', name)).toThrow(
      expect.objectContaining({ code: 'REFERENCE_INVALID' }),
    );
  });

  it('is the same object each time', async () => {
    const { client, repository, server } = await serve({});
    expect(client.repository(server.host, 'team/app')).toBe(repository);
    expect(client.repository(server.host, 'team/app2')).not.toBe(repository);
  });
});
