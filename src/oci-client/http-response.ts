import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';

import { transportError } from './transport-error.ts';

const maxDiscardedBytes = 16 * 1024;

interface ResponseParts {
  readonly what: string;
  readonly url: URL;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readable;
  readonly signal: AbortSignal | undefined;
}

/** An answer whose body is still to come. Whoever has one reads the body, streams it or discards it. */
export class HttpResponse {
  /** What fails where this answer is no good: the beginning of an error's message. */
  readonly what: string;
  /** Where the answer came from in the end, after redirects. */
  readonly url: URL;
  readonly status: number;
  readonly signal: AbortSignal | undefined;
  /** Its errors are undici's own: see `transportError`. */
  readonly body: Readable;
  readonly #headers: IncomingHttpHeaders;

  constructor(parts: ResponseParts) {
    this.what = parts.what;
    this.url = parts.url;
    this.status = parts.status;
    this.body = parts.body;
    this.signal = parts.signal;
    this.#headers = parts.headers;
    // Until somebody reads it, a body that fails must not end the process.
    this.body.on('error', () => undefined);
  }

  /** The header `name` (in lower case): the first where there are several, undefined where there is none. */
  header(name: string): string | undefined {
    return this.headers(name)[0];
  }

  /** All headers `name` (in lower case). */
  headers(name: string): readonly string[] {
    const value = this.#headers[name];
    return value === undefined ? [] : typeof value === 'string' ? [value] : value;
  }

  /** Content-Length in bytes, where it is one. */
  get contentLength(): number | undefined {
    const text = this.header('content-length');
    return text !== undefined && /^[0-9]{1,15}$/.test(text) ? Number(text) : undefined;
  }

  /** Content-Type without its parameters, in lower case. */
  get contentType(): string | undefined {
    return this.header('content-type')?.split(';')[0]?.trim().toLowerCase();
  }

  /** The first `maxBytes` of the body; the rest is dropped with the connection. */
  async read(maxBytes: number): Promise<Buffer> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    try {
      for await (const chunk of this.body as AsyncIterable<Buffer>) {
        chunks.push(chunk);
        bytes += chunk.byteLength;
        if (bytes >= maxBytes) break;
      }
    } catch (error) {
      throw transportError(error, this);
    }
    return Buffer.concat(chunks).subarray(0, maxBytes);
  }

  /** Drops the body; a short one is read, so that its connection can be used again. */
  async discard(): Promise<void> {
    // What happens to a body that nobody wants is no failure.
    await this.read(maxDiscardedBytes).catch(() => undefined);
  }
}
