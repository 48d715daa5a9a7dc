import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import type { ByteRange } from '../../src/content/store.ts';
import { readContent } from '../../src/content/verify.ts';
import { blob, image, noise } from '../support/graphs.ts';
import { type Answer, reply } from '../support/scripted-server.ts';
import { readAll } from '../support/store-contract.ts';
import { useServedRepository } from './served-repository.ts';

const serve = useServedRepository();
const { descriptor, bytes } = blob(noise(300_000, 'fetched'));
const path = `GET /v2/team/app/blobs/${descriptor.digest}`;

describe('fetch from a registry that ignores ranges', () => {
  it.each<[ByteRange, number, number]>([
    [{ start: 1000 }, 1000, 300_000],
    [{ start: 0, end: 10 }, 0, 10],
    [{ start: 70_000, end: 200_001 }, 70_000, 200_001],
    [{ start: 299_999 }, 299_999, 300_000],
  ])('gives the bytes of %j all the same', async (range, start, end) => {
    const { repository } = await serve({ [path]: reply(200, {}, bytes) });
    const content = await readAll(await repository.fetch(descriptor, { range }));
    expect(content.equals(bytes.subarray(start, end))).toBe(true);
  });
});

describe('fetch of a range', () => {
  it('asks for it by the last byte, and takes a 206', async () => {
    const { repository, server } = await serve({
      [path]: reply(206, { 'Content-Range': 'bytes 100-199/300000' }, bytes.subarray(100, 200)),
    });
    const content = await readAll(await repository.fetch(descriptor, { range: { start: 100, end: 200 } }));
    expect(content.equals(bytes.subarray(100, 200))).toBe(true);
    expect(server.requests.find(({ method, path: asked }) => method === 'GET' && asked !== '/v2/')?.headers.range).toBe(
      'bytes=100-199',
    );
  });

  it.each([
    ['another one', 'bytes 0-99/300000'],
    ['a shorter one', 'bytes 100-150/300000'],
    ['one of something larger', 'bytes 100-199/300001'],
    ['nothing that says which', ''],
  ])('fails where the registry sends %s', async (_what, contentRange) => {
    const { repository } = await serve({
      [path]: reply(206, { 'Content-Range': contentRange }, bytes.subarray(0, 100)),
    });
    await expect(repository.fetch(descriptor, { range: { start: 100, end: 200 } })).rejects.toMatchObject({
      code: 'REGISTRY_ERROR',
      message: expect.stringContaining('100-199') as string,
    });
  });

  it('that is empty asks for nothing', async () => {
    const { repository, server } = await serve({});
    expect(await readAll(await repository.fetch(descriptor, { range: { start: 5, end: 5 } }))).toHaveLength(0);
    expect(server.requests).toEqual([]);
  });
});

describe('fetch of what is not as promised', () => {
  const truncated: Answer = (_request, response) => {
    response.writeHead(200, { 'Content-Length': `${bytes.byteLength}` });
    response.write(bytes.subarray(0, 100_000), () => response.destroy());
  };
  const shortChunks: Answer = (_request, response) => {
    response.write(bytes.subarray(0, 100_000));
    response.end();
  };

  it.each([
    ['breaks off', truncated],
    ['ends early', shortChunks],
  ])(
    'fails where the body %s: TRANSFER_INCOMPLETE, with the bytes that were expected and that came',
    async (_how, answer) => {
      const { repository } = await serve({ [path]: answer });
      await expect(readAll(await repository.fetch(descriptor))).rejects.toMatchObject({
        code: 'TRANSFER_INCOMPLETE',
        message: expect.stringContaining('100000 of 300000 bytes') as string,
      });
    },
  );

  it('gives all bytes that came before the body broke off, so that a range can go on from there', async () => {
    const { repository } = await serve({ [path]: truncated });
    const received: Buffer[] = [];
    await expect(
      (async () => {
        for await (const chunk of await repository.fetch(descriptor)) received.push(chunk as Buffer);
      })(),
    ).rejects.toMatchObject({ code: 'TRANSFER_INCOMPLETE' });
    expect(Buffer.concat(received).equals(bytes.subarray(0, 100_000))).toBe(true);
  });

  it('fails for who reads late, too, and harms nobody until then', async () => {
    const { repository } = await serve({ [path]: truncated });
    const content = await repository.fetch(descriptor);
    await sleep(200);
    await expect(readAll(content)).rejects.toMatchObject({ code: 'TRANSFER_INCOMPLETE' });
  });

  it('fails where the registry announces another size', async () => {
    const { repository } = await serve({ [path]: reply(200, { 'Content-Length': '5' }, 'hello') });
    await expect(repository.fetch(descriptor)).rejects.toMatchObject({
      code: 'SIZE_MISMATCH',
      message: expect.stringMatching(/300000.* 5$/) as string,
    });
  });

  it('fails where more comes than there should be', async () => {
    const { repository } = await serve({
      [path]: (_request, response) => {
        response.write(bytes);
        response.end('more');
      },
    });
    await expect(readAll(await repository.fetch(descriptor))).rejects.toMatchObject({ code: 'SIZE_MISMATCH' });
  });

  it('fails where the content is another one: whoever keeps it notices', async () => {
    const other = Buffer.from(bytes);
    other[150_000] = 1 + (other[150_000] ?? 0);
    const { repository } = await serve({ [path]: reply(200, {}, other) });
    await expect(readContent(repository, descriptor)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  });

  it('fails where the body stalls: TIMEOUT', async () => {
    const { repository } = await serve(
      {
        [path]: (_request, response) => {
          response.writeHead(200, { 'Content-Length': `${bytes.byteLength}` }).write(bytes.subarray(0, 1000));
        },
      },
      { bodyTimeoutMs: 1_000 },
    );
    await expect(readAll(await repository.fetch(descriptor))).rejects.toMatchObject({
      code: 'TIMEOUT',
      message: expect.stringContaining('1000 of 300000 bytes') as string,
    });
  });

  it('does not take it for a stall when the reader pauses', async () => {
    const { repository } = await serve({ [path]: reply(200, {}, bytes) }, { bodyTimeoutMs: 1_000 });
    const content: Readable = await repository.fetch(descriptor);
    await sleep(2_500);
    expect((await readAll(content)).equals(bytes)).toBe(true);
  });
});

describe('fetch of a manifest', () => {
  it('asks for the very type, at the manifests', async () => {
    const { descriptor: target, bytes: manifest } = image([blob('layer')]);
    const { repository, server } = await serve({
      [`GET /v2/team/app/manifests/${target.digest}`]: reply(200, { 'Content-Type': target.mediaType }, manifest),
    });
    expect(await readContent(repository, target)).toEqual(manifest);
    expect(server.requests.at(-1)?.headers.accept).toBe('application/vnd.oci.image.manifest.v1+json');
  });

  it('of over 4 MiB is refused before anything is asked for', async () => {
    const { repository, server } = await serve({});
    const target = { ...image([]).descriptor, size: 4 * 1024 * 1024 + 1 };
    await expect(readContent(repository, target)).rejects.toMatchObject({ code: 'CONTENT_TOO_LARGE' });
    expect(server.requests).toEqual([]);
  });
});
