import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { type Content, blob, noise } from '../support/graphs.ts';
import { type Answer, reply, type Script } from '../support/scripted-server.ts';
import { readAll } from '../support/store-contract.ts';
import { useServedRepository } from './served-repository.ts';

const serve = useServedRepository();

function blobs(count: number): readonly Content[] {
  return Array.from({ length: count }, (_, number) => blob(noise(10_000, `blob ${number}`)));
}

function script(contents: readonly Content[], answer: (content: Content) => Answer): Script {
  return Object.fromEntries(
    contents.map((content) => [`GET /v2/team/app/blobs/${content.descriptor.digest}`, answer(content)]),
  );
}

/** Counts what is under way at once; each answer takes a while. */
class Crowd {
  most = 0;
  running = 0;
  /** How many there were at each request, itself included. */
  readonly seen: number[] = [];

  answer(content: Content, refuse: (running: number) => boolean = () => false): Answer {
    return async (_request, response) => {
      this.running += 1;
      this.seen.push(this.running);
      this.most = Math.max(this.most, this.running);
      const isRefused = refuse(this.running);
      await sleep(20);
      this.running -= 1;
      if (isRefused) response.writeHead(429).end();
      else response.end(content.bytes);
    };
  }
}

describe('the connections of a host', () => {
  it('are as many as are allowed, however many contents are read at once', async () => {
    const contents = blobs(20);
    const crowd = new Crowd();
    const served = await serve(
      script(contents, (content) => crowd.answer(content)),
      { maxConnectionsPerHost: 3 },
    );
    const all = contents.map(async ({ descriptor }) => readAll(await served.repository.fetch(descriptor)));
    expect((await Promise.all(all)).every((got, number) => contents[number]?.bytes.equals(got))).toBe(true);
    expect(crowd.most).toBe(3);
  });

  it('become fewer when it says that there are too many, and all comes in the end', async () => {
    const contents = blobs(60);
    const crowd = new Crowd();
    const served = await serve(
      script(contents, (content) => crowd.answer(content, (running) => running > 4)),
      { maxConnectionsPerHost: 16, retries: 20, retryBaseMs: 20 },
    );
    const all = contents.map(async ({ descriptor }) => readAll(await served.repository.fetch(descriptor)));
    expect((await Promise.all(all)).every((got, number) => contents[number]?.bytes.equals(got))).toBe(true);
    expect(crowd.most).toBeGreaterThan(4);
    expect(crowd.most).toBeLessThanOrEqual(16);
    const later = crowd.seen.slice(-40);
    expect(Math.max(...later)).toBeLessThan(12);
    expect(Math.max(...later), 'more again, slowly').toBeGreaterThan(2);
  });

  it('are waited for only until the signal is aborted', async () => {
    const [first, second] = blobs(2) as [Content, Content];
    const { repository } = await serve(
      script([first, second], ({ bytes }) => reply(200, {}, bytes)),
      { maxConnectionsPerHost: 1 },
    );
    const unread = await repository.fetch(first.descriptor);
    const controller = new AbortController();
    const waiting = repository.fetch(second.descriptor, { signal: controller.signal });
    setTimeout(() => controller.abort(), 50);
    await expect(waiting).rejects.toMatchObject({ code: 'ABORTED' });
    unread.destroy();
    expect((await readAll(await repository.fetch(second.descriptor))).equals(second.bytes)).toBe(true);
  });

  it('are not waited for by what the reader of a content asks for in between', async () => {
    const [content] = blobs(1) as [Content];
    const { repository } = await serve(
      {
        ...script([content], ({ bytes }) => reply(200, {}, bytes)),
        'GET /v2/team/app/tags/list': reply(200, {}, '{}'),
      },
      { maxConnectionsPerHost: 1 },
    );
    const unread = await repository.fetch(content.descriptor);
    expect(await repository.tags()).toEqual([]);
    unread.destroy();
  });
});

describe('a login that is waited for', () => {
  it('is not waited for at all where the signal is aborted already', async () => {
    const [content] = blobs(1) as [Content];
    const { repository } = await serve({ 'GET /v2/': () => undefined }, { headersTimeoutMs: 2_000 });
    const signal = AbortSignal.abort();
    await expect(repository.exists(content.descriptor, { signal })).rejects.toMatchObject({ code: 'ABORTED' });
  });
});

describe('the rate', () => {
  it('of all content together is kept', async () => {
    const contents = Array.from({ length: 4 }, (_, number) => blob(noise(500_000, `large ${number}`)));
    const { repository } = await serve(
      script(contents, ({ bytes }) => reply(200, {}, bytes)),
      { maxBytesPerSecond: 2_000_000 },
    );
    const started = performance.now();
    // A tenth of a second's worth may come at once, and the last chunk of each before anybody waits: what a socket holds is
    // one chunk, which is two reads of 64 KiB where the first of them was short.
    const atOnceBytes = 200_000 + contents.length * 2 * 65_536;
    let received = 0;
    let aheadBytes = 0;
    await Promise.all(
      contents.map(async ({ descriptor }) => {
        for await (const chunk of await repository.fetch(descriptor)) {
          received += (chunk as Buffer).byteLength;
          aheadBytes = Math.max(aheadBytes, received - 2_000 * (performance.now() - started));
        }
      }),
    );
    expect(received).toBe(2_000_000);
    expect(aheadBytes, 'at every moment').toBeLessThan(atOnceBytes);
  });

  it('counts what goes up as well', async () => {
    const { descriptor, bytes } = blob(noise(600_000, 'up'));
    const uploads = '/v2/team/app/blobs/uploads/';
    const { repository } = await serve(
      {
        [`POST ${uploads}`]: reply(202, { Location: `${uploads}1` }),
        [`PUT ${uploads}1`]: (request, response) => {
          request.resume().on('end', () => response.writeHead(201).end());
        },
      },
      { maxBytesPerSecond: 1_000_000 },
    );
    const pieces = Array.from({ length: 12 }, (_, number) => bytes.subarray(number * 50_000, (number + 1) * 50_000));
    const started = performance.now();
    await repository.push(descriptor, Readable.from(pieces), { isAbsent: true });
    expect(performance.now() - started).toBeGreaterThan(350);
  });

  it('ends a wait at once when it is aborted', async () => {
    const content = blob(noise(300_000, 'slow'));
    const { repository } = await serve(
      script([content], ({ bytes }) => reply(200, {}, bytes)),
      { maxBytesPerSecond: 1_000 },
    );
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 100);
    const read = (async () => readAll(await repository.fetch(content.descriptor, { signal: controller.signal })))();
    await expect(read).rejects.toMatchObject({ code: 'ABORTED' });
  });
});
