import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Answer } from '../support/scripted-server.ts';

/** One request for a content, and what is done about it. */
export interface RangedRequest {
  /** Of the bytes that are asked for; `end` is not one of them. */
  readonly start: number;
  readonly end: number;
  readonly isRange: boolean;
  readonly number: number;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Answers as it should be. */
  readonly answer: () => void;
  /** Answers as it should be, and breaks off after so many bytes. */
  readonly breakOff: (afterBytes: number) => void;
}

export interface RangedContentOptions {
  readonly etag?: string | undefined;
  /** Default: answers as it should be. */
  readonly handle?: ((asked: RangedRequest) => void) | undefined;
}

/** Answers with `bytes`, or the range of them that is asked for (RFC 9110, section 14), and notes what was asked. */
export function rangedContent(bytes: Buffer, options: RangedContentOptions = {}): Answer & { asked: RangedRequest[] } {
  const { etag, handle = (one: RangedRequest) => one.answer() } = options;
  const asked: RangedRequest[] = [];
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const { start: from, last } = /^bytes=(?<start>\d+)-(?<last>\d+)$/.exec(request.headers.range ?? '')?.groups ?? {};
    const isRange = from !== undefined && (request.headers['if-range'] ?? etag) === etag;
    const start = isRange ? Number(from) : 0;
    const end = isRange ? Math.min(Number(last) + 1, bytes.byteLength) : bytes.byteLength;
    const begin = (): void => {
      response.writeHead(isRange ? 206 : 200, {
        'Accept-Ranges': 'bytes',
        'Content-Length': end - start,
        ...(isRange ? { 'Content-Range': `bytes ${start}-${end - 1}/${bytes.byteLength}` } : {}),
        ...(etag === undefined ? {} : { ETag: etag }),
      });
    };
    const one: RangedRequest = {
      ...{ start, end, isRange, number: asked.length, request, response },
      answer() {
        begin();
        response.end(bytes.subarray(start, end));
      },
      breakOff(afterBytes) {
        begin();
        response.write(bytes.subarray(start, start + afterBytes), () => response.destroy());
      },
    };
    asked.push(one);
    handle(one);
  };
  return Object.assign(answer, { asked });
}
