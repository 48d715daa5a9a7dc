import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { bytesOf } from '../content/verify.ts';
import { EdgeBundleError } from '../errors.ts';
import { AnswerClock } from './answer-clock.ts';
import { ProtocolError } from './protocol-error.ts';

export interface ExchangeLimits {
  /** A client that sends nothing for this long while it is waited for loses its connection; in milliseconds. */
  readonly stallMs: number;
  /**
   * The least that a client sends while it is waited for, on an average over `stallMs`, and the least that it takes of an
   * answer: one byte now and then is none.
   */
  readonly minBytesPerSecond: number;
}

/** One request and its answer. */
export class Exchange {
  readonly method: string;
  /** As the client wrote it, still encoded. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #limits: ExchangeLimits;
  readonly #aborter = new AbortController();
  readonly #clock: AnswerClock;
  #receivedBytes = 0;
  #sentBytes = 0;

  constructor(request: IncomingMessage, response: ServerResponse, limits: ExchangeLimits) {
    const { method = '', url = '' } = request;
    const mark = url.indexOf('?');
    this.method = method;
    this.path = mark === -1 ? url : url.slice(0, mark);
    this.query = new URLSearchParams(mark === -1 ? '' : url.slice(mark));
    this.#request = request;
    this.#response = response;
    this.#limits = limits;
    const { stallMs, minBytesPerSecond } = limits;
    this.#clock = new AnswerClock({ startMs: stallMs, minBytesPerSecond, onOver: () => this.cutOff() });
    response.once('close', () => {
      this.#clock.rests();
      this.#aborter.abort();
    });
  }

  /** Aborted when the connection ends, and when the answer has been sent. */
  get signal(): AbortSignal {
    return this.#aborter.signal;
  }

  /** Ends the connection, whatever is being received or sent. */
  cutOff(): void {
    this.#response.destroy();
  }

  /** Of the request's body, as far as it was read. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Of the answer's body. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  header(name: string): string | undefined {
    const value = this.#request.headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  }

  /** What `Content-Length` announces. */
  get announcedBytes(): number | undefined {
    const value = this.header('content-length');
    return value === undefined ? undefined : Number(value);
  }

  /**
   * The request's body. Leaving the loop keeps the connection, so that the answer can be sent.
   *
   * @throws ProtocolError 408 where it comes too slowly; what came before was given
   */
  async *body(): AsyncGenerator<Buffer> {
    const { socket } = this.#request;
    socket.setTimeout(this.#limits.stallMs);
    const rate = new LeastRate(this.#limits);
    try {
      for await (const chunk of this.#request.iterator({ destroyOnReturn: false })) {
        const bytes = chunk as Buffer;
        this.#receivedBytes += bytes.byteLength;
        rate.arrived(bytes.byteLength);
        yield bytes;
        rate.waits();
      }
    } finally {
      socket.setTimeout(0);
    }
  }

  /** The request's whole body. @throws ProtocolError 413 where it has more than `maxBytes` */
  async readBody(maxBytes: number): Promise<Buffer> {
    const tooLarge = (): ProtocolError =>
      new ProtocolError(413, 'SIZE_INVALID', `at most ${maxBytes} bytes are taken here; the request has more`);
    if ((this.announcedBytes ?? 0) > maxBytes) throw tooLarge();
    const chunks: Buffer[] = [];
    for await (const chunk of this.body()) {
      chunks.push(chunk);
      if (this.#receivedBytes > maxBytes) throw tooLarge();
    }
    return Buffer.concat(chunks);
  }

  sendEmpty(status: number, headers: OutgoingHttpHeaders): void {
    this.#start(status, status === 204 || status === 304 ? headers : { ...headers, 'content-length': 0 });
    this.#response.end();
  }

  sendBytes(status: number, headers: OutgoingHttpHeaders, bytes: Buffer): void {
    this.#start(status, { ...headers, 'content-length': bytes.byteLength });
    if (this.method === 'HEAD') {
      this.#response.end();
      return;
    }
    this.#sentBytes = bytes.byteLength;
    this.#leaveToClock();
    this.#clock.runs(bytes.byteLength);
    this.#response.end(bytes);
  }

  sendJson(status: number, headers: OutgoingHttpHeaders, value: unknown): void {
    const bytes = Buffer.from(JSON.stringify(value), 'utf8');
    this.sendBytes(status, { 'content-type': 'application/json', ...headers }, bytes);
  }

  /** The headers of content of `size` bytes, without the content. */
  sendHead(status: number, headers: OutgoingHttpHeaders, size: number): void {
    this.#start(status, { ...headers, 'content-length': size });
    this.#response.end();
  }

  /**
   * Sends `content`, which should have `size` bytes. Where it has not, or fails, the connection is destroyed: the
   * client sees a body that was cut off, and never a success.
   */
  async sendContent(status: number, headers: OutgoingHttpHeaders, content: Readable, size: number): Promise<void> {
    this.#start(status, { ...headers, 'content-length': size });
    this.#leaveToClock();
    await pipeline(this.#counted(content, size), this.#response);
  }

  async *#counted(content: Readable, size: number): AsyncGenerator<Buffer> {
    const mismatch = (): EdgeBundleError =>
      new EdgeBundleError('SIZE_MISMATCH', `${this.path}: expected ${size} bytes of content, other came`);
    for await (const chunk of bytesOf(content)) {
      if (this.#sentBytes + chunk.byteLength > size) throw mismatch();
      this.#sentBytes += chunk.byteLength;
      this.#clock.runs(chunk.byteLength);
      yield chunk;
      this.#clock.rests();
    }
    if (this.#sentBytes !== size) throw mismatch();
    this.#clock.runs(0);
  }

  /** What a client takes out of the system's buffers is seen in leaps: that nothing moves for a while says little. */
  #leaveToClock(): void {
    this.#request.socket.setTimeout(0);
  }

  #start(status: number, headers: OutgoingHttpHeaders): void {
    this.#request.socket.setTimeout(this.#limits.stallMs);
    this.#response.statusCode = status;
    for (const [name, value] of Object.entries(headers)) if (value !== undefined) this.#response.setHeader(name, value);
  }
}

/** Counts what comes in the time for which the client is waited for: that the disk is slow is no fault of its. */
class LeastRate {
  readonly #limits: ExchangeLimits;
  #waitingSinceMs = performance.now();
  #waitedMs = 0;
  #bytes = 0;

  constructor(limits: ExchangeLimits) {
    this.#limits = limits;
  }

  waits(): void {
    this.#waitingSinceMs = performance.now();
  }

  /** @throws ProtocolError 408 */
  arrived(bytes: number): void {
    const { stallMs, minBytesPerSecond } = this.#limits;
    this.#waitedMs += performance.now() - this.#waitingSinceMs;
    this.#bytes += bytes;
    if (this.#waitedMs < stallMs) return;
    const bytesPerSecond = (this.#bytes / this.#waitedMs) * 1000;
    if (bytesPerSecond < minBytesPerSecond) {
      throw new ProtocolError(408, 'BLOB_UPLOAD_INVALID', `at least ${minBytesPerSecond} bytes a second are expected`, {
        headers: { connection: 'close' },
      });
    }
    [this.#waitedMs, this.#bytes] = [0, 0];
  }
}
