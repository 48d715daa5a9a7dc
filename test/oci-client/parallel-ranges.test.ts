import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import type { RegistryClientOptions } from '../../src/oci-client/registry-client.ts';
import { blob, noise } from '../support/graphs.ts';
import { readAll } from '../support/store-contract.ts';
import { type RangedRequest, rangedContent } from './ranged-content.ts';
import { type ServedRepository, useServedRepository } from './served-repository.ts';

const serve = useServedRepository();
const { descriptor, bytes } = blob(noise(48_000_000, 'large'));
const path = `GET /v2/team/app/blobs/${descriptor.digest}`;
const pieceBytes = 4 * 1024 * 1024;

/** Sends what is asked for at a rate, as servers do that share their line among connections; tells how many there are. */
class SlowServer {
  readonly content: ReturnType<typeof rangedContent>;
  /** By where it starts: up to where bytes were sent. */
  readonly sent = new Map<number, number>();
  most = 0;
  #running = 0;
  readonly #bytesPerSecond: number;

  constructor(bytesPerSecond: number, refuse: (asked: RangedRequest, running: number) => boolean = () => false) {
    this.#bytesPerSecond = bytesPerSecond;
    this.content = rangedContent(bytes, {
      handle: (asked) => {
        if (refuse(asked, this.#running)) return;
        this.#running += 1;
        this.most = Math.max(this.most, this.#running);
        asked.response.once('close', () => (this.#running -= 1));
        void this.#send(asked);
      },
    });
  }

  async #send({ start, end, isRange, response }: RangedRequest): Promise<void> {
    response.writeHead(isRange ? 206 : 200, {
      'Accept-Ranges': 'bytes',
      'Content-Length': end - start,
      ...(isRange ? { 'Content-Range': `bytes ${start}-${end - 1}/${bytes.byteLength}` } : {}),
    });
    let dueMs = performance.now();
    for (let at = start; at < end && !response.destroyed; at += 65_536) {
      const to = Math.min(end, at + 65_536);
      response.write(bytes.subarray(at, to));
      this.sent.set(start, to);
      dueMs += ((to - at) * 1000) / this.#bytesPerSecond;
      await sleep(Math.max(0, dueMs - performance.now()));
    }
    response.end();
  }
}

async function read(server: SlowServer, options: RegistryClientOptions = {}): Promise<ServedRepository> {
  const served = await serve({ [path]: server.content }, { retries: 5, retryBaseMs: 5, ...options });
  const got = await readAll(await served.repository.fetch(descriptor));
  expect(got.equals(bytes)).toBe(true);
  return served;
}

describe('a large blob from a server that is slow for each connection', () => {
  it('comes over several, each with its part, in order, with no byte asked for twice', async () => {
    const server = new SlowServer(8_000_000);
    await read(server);
    expect(server.most).toBeGreaterThanOrEqual(4);
    const starts = server.content.asked.map(({ start }) => start).sort((one, other) => one - other);
    expect(new Set(starts).size).toBe(starts.length);
    // The first answer is cut where the first piece begins; what was under way of it is all that comes twice.
    const [first = 0, second = 0] = starts;
    const ofFirst = server.sent.get(first) ?? 0;
    expect(ofFirst - second).toBeLessThan(2_000_000);
    expect(bytes.byteLength - ofFirst, 'over the others').toBeGreaterThan(2 * pieceBytes);
  });

  it('comes over one where that is wanted, or where the server says nothing of ranges', async () => {
    const single = new SlowServer(40_000_000);
    await read(single, { parallelOverBytes: Infinity });
    expect(single.content.asked).toHaveLength(1);
    const limited = new SlowServer(20_000_000);
    await read(limited, { maxConnectionsPerHost: 1 });
    expect(limited.content.asked).toHaveLength(1);
  });

  it('comes whole from a server that stops to know ranges', async () => {
    const server = new SlowServer(16_000_000, ({ isRange, response }) => {
      if (!isRange) return false;
      response.writeHead(200, { 'Content-Length': bytes.byteLength }).end(bytes);
      return true;
    });
    await read(server);
    expect(server.content.asked.filter(({ isRange }) => !isRange)).toHaveLength(1);
    expect(server.content.asked.length).toBeLessThan(6);
  });

  it('comes over as many as the server takes', async () => {
    const server = new SlowServer(12_000_000, ({ response }, running) => {
      if (running < 2) return false;
      response.writeHead(429).end();
      return true;
    });
    await read(server);
    expect(server.most).toBe(2);
    const refused = server.content.asked.length - server.sent.size;
    expect(refused).toBeGreaterThan(0);
    expect(refused).toBeLessThan(10);
  });

  it('comes where any connection breaks off', async () => {
    const server = new SlowServer(16_000_000, ({ number, breakOff }) => {
      if (number % 3 === 0) return false;
      breakOff(500_000 + number);
      return true;
    });
    await read(server);
  });

  it('takes little memory where its reader is slow, and goes on when the reader does', async () => {
    const server = new SlowServer(8_000_000);
    const { repository } = await serve({ [path]: server.content });
    const stream = await repository.fetch(descriptor);
    const chunks: Buffer[] = [];
    let received = 0;
    let hasPaused = false;
    for await (const chunk of stream) {
      chunks.push(chunk as Buffer);
      received += (chunk as Buffer).byteLength;
      if (hasPaused || received < 24_000_000) continue;
      hasPaused = true;
      await sleep(2_000);
      const asked = Math.max(...server.content.asked.slice(1).map(({ end }) => end));
      expect(asked - received).toBeLessThanOrEqual(11 * pieceBytes);
    }
    expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
  });

  it('ends on all connections when its reader leaves', async () => {
    const server = new SlowServer(8_000_000);
    const { repository } = await serve({ [path]: server.content });
    const stream = await repository.fetch(descriptor);
    let received = 0;
    for await (const chunk of stream) {
      received += (chunk as Buffer).byteLength;
      if (received > 20_000_000) break;
    }
    expect(server.most).toBeGreaterThan(1);
    // Of an answer that was written to its end, and could not be sent to it, only the socket tells.
    const isOver = ({ request, response }: RangedRequest): boolean => response.destroyed || request.socket.destroyed;
    await expect.poll(() => server.content.asked.every(isOver)).toBe(true);
  });
});

describe('a large blob from a server that is fast', () => {
  it('comes over one connection', async () => {
    const content = rangedContent(bytes);
    const { repository } = await serve({ [path]: content });
    expect((await readAll(await repository.fetch(descriptor))).equals(bytes)).toBe(true);
    expect(content.asked).toHaveLength(1);
  });
});
