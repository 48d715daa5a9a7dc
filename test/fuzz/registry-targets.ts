/** Parsers of what registries, token servers, Harbor and Palette answer. */
import { createServer, type Server } from 'node:net';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';

import { readContent } from '../../src/content/verify.ts';
import { healthSchema, readAnswer as readHarborAnswer } from '../../src/harbor/harbor-answers.ts';
import { parseContentRange } from '../../src/oci-client/content-range.ts';
import { FixedCredentials } from '../../src/oci-client/credentials.ts';
import { HttpResponse } from '../../src/oci-client/http-response.ts';
import { nextPage } from '../../src/oci-client/pages.ts';
import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { responseError } from '../../src/oci-client/registry-error.ts';
import type { Repository } from '../../src/oci-client/repository.ts';
import { retryAfterMs } from '../../src/oci-client/retry-after.ts';
import { requestToken } from '../../src/oci-client/token-request.ts';
import { Transport } from '../../src/oci-client/transport.ts';
import { image, sha256 } from '../support/graphs.ts';
import type { FuzzTarget } from './run-target.ts';

const what = 'cannot look';
const url = new URL('https://registry.example/v2/a/b/tags/list');

/** The parsers alone. */
const answerTargets: readonly FuzzTarget[] = [
  {
    name: 'error body of a registry',
    seeds: [
      '{"errors":[{"code":"NAME_UNKNOWN","message":"not known","detail":{"name":"a/b"}}]}',
      '{"errors":[{"code":"DENIED","message":"quota"},{"code":"UNKNOWN"}]}',
      '{"error":"invalid_grant","error_description":"no such user"}',
      '<html><head><title>x</title><style>a{b:c}</style></head><body><p class="a">oops</p></body></html>',
    ].map((text) => Buffer.from(text)),
    parse: async (input) => {
      const error = await responseError(answerOf({ status: 404, body: input }));
      // It is shown to people: one short line, and nothing that drives a terminal.
      if (/[\p{Cc}\p{Cf}]/u.test(error.message)) throw new Error(`control characters: ${error.message}`);
      if (error.message.length > 1000) throw new Error('the message is too long');
      return error.message;
    },
    // What says nothing is told by the status alone.
    isRefusal: (message) => message === 'cannot look: registry.example answered 404 Not Found',
  },
  {
    name: 'Link',
    seeds: [
      '</v2/a/b/tags/list?n=1&last=a>; rel="next"',
      '<https://registry.example/v2/a/b/tags/list?last=b>; rel=next',
      '<x>; rel="prev", <y>; title="a, b"; rel="next"',
    ].map((text) => Buffer.from(text)),
    parse: (input) => {
      const next = nextPage(answerOf({ status: 200, headers: { link: input.toString('latin1') } }));
      if (next !== undefined && next.origin !== url.origin) throw new Error(`it leads to ${next.href}`);
      return next;
    },
    isRefusal: (next) => next === undefined,
  },
  {
    name: 'Content-Range',
    seeds: ['bytes 0-499/1000', 'bytes 500-999/*', 'bytes */1000'].map((text) => Buffer.from(text)),
    parse: (input) => {
      const range = parseContentRange(input.toString('latin1'));
      if (range === undefined) return undefined;
      const { start, last, size = Infinity } = range;
      if (!(start >= 0 && start <= last && last < size)) throw new Error('there is no such range');
      return range;
    },
    isRefusal: (range) => range === undefined,
  },
  {
    name: 'Retry-After',
    seeds: ['120', 'Fri, 31 Dec 2027 23:59:59 GMT'].map((text) => Buffer.from(text)),
    parse: (input) => {
      const ms = retryAfterMs(answerOf({ status: 429, headers: { 'retry-after': input.toString('latin1') } }));
      if (ms !== undefined && !(ms >= 0 && ms <= 300_000)) throw new Error(`it is to wait for ${ms} ms`);
      return ms;
    },
    isRefusal: (ms) => ms === undefined,
  },
  {
    name: "answer of Harbor's API",
    seeds: [Buffer.from('{"status":"healthy","components":[{"name":"core","status":"healthy","error":""}]}')],
    parse: (input) => readHarborAnswer(answerOf({ status: 200, body: input }), healthSchema),
  },
];

function answerOf(answer: {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}): HttpResponse {
  const { status, headers = {}, body } = answer;
  return new HttpResponse({
    ...{ what, url, status, headers, signal: undefined },
    body: Readable.from(body === undefined ? [] : [body]),
  });
}

const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: sha256('hello'), size: 5 };
const { bytes: manifest, descriptor } = image([]);
const json = 'Content-Type: application/json';

interface Question {
  readonly name: string;
  readonly seeds: (host: string) => readonly Buffer[];
  readonly ask: (repository: Repository) => Promise<unknown>;
}

/** Whole answers, status and headers too, each to a client of its own: one learns from what it is told. */
const questions: readonly Question[] = [
  {
    name: 'tags',
    seeds: (host) => [
      answer(
        '200 OK',
        [json, `Link: <http://${host}/v2/a/b/tags/list?n=1>; rel="prev"`],
        '{"name":"a/b","tags":["a"]}',
      ),
    ],
    ask: (repository) => repository.tags(),
  },
  {
    name: 'a manifest',
    seeds: () => [
      answer(
        '200 OK',
        [`Content-Type: ${descriptor.mediaType}`, `Docker-Content-Digest: ${descriptor.digest}`],
        manifest,
      ),
    ],
    ask: (repository) => repository.readManifest('1'),
  },
  {
    name: 'a range of a blob',
    seeds: () => [
      answer('206 Partial Content', ['Content-Range: bytes 1-2/5', 'ETag: "x"'], 'el'),
      answer('200 OK', ['Accept-Ranges: bytes'], 'hello'),
      Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'),
    ],
    ask: async (repository) => {
      await buffer(await repository.fetch(layer, { range: { start: 1, end: 3 } }));
    },
  },
  {
    name: 'a blob',
    seeds: () => [
      answer('200 OK', ['Accept-Ranges: bytes'], 'hello'),
      Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'),
    ],
    ask: (repository) => readContent(repository, layer),
  },
  {
    name: 'referrers',
    seeds: () => [
      answer(
        '200 OK',
        ['Content-Type: application/vnd.oci.image.index.v1+json'],
        JSON.stringify({ schemaVersion: 2, manifests: [descriptor] }),
      ),
    ],
    ask: (repository) => repository.referrers(descriptor),
  },
  {
    name: 'an upload',
    seeds: (host) => [
      answer('202 Accepted', [`Location: http://${host}/v2/a/b/blobs/uploads/x?y=z`, 'OCI-Chunk-Min-Length: 10'], ''),
      answer('202 Accepted', ['Location: /v2/a/b/blobs/uploads/x', 'Range: 0-0'], ''),
    ],
    ask: (repository) => repository.ensureUploadAllowed(),
  },
];

/** What no question is to be answered with. */
function refusals(host: string): readonly Buffer[] {
  const challenge = `Bearer realm="http://${host}/token",service="s",scope="repository:a/b:pull"`;
  return [
    answer('404 Not Found', [json], '{"errors":[{"code":"NAME_UNKNOWN","message":"not known"}]}'),
    answer('401 Unauthorized', [`WWW-Authenticate: ${challenge}`], ''),
    answer('307 Temporary Redirect', [`Location: http://${host}/elsewhere`], ''),
    answer('429 Too Many Requests', ['Retry-After: 0'], ''),
  ];
}

function answer(status: string, headers: readonly string[], body: Buffer | string): Buffer {
  const head = [`HTTP/1.1 ${status}`, ...headers, `Content-Length: ${Buffer.byteLength(body)}`];
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), Buffer.from(body)]);
}

export async function openRegistryTargets(): Promise<{
  readonly targets: readonly FuzzTarget[];
  close(): Promise<void>;
}> {
  let next: Buffer = Buffer.alloc(0);
  let given = 0;
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => {
      given += 1;
      socket.end(next);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${portOf(server)}`;
  const give = async (input: Buffer, ask: () => Promise<unknown>): Promise<void> => {
    [next, given] = [input, 0];
    try {
      await ask();
    } finally {
      if (given === 0) throw new Error('the answer was not asked for');
    }
  };

  const asked = questions.map(({ name, seeds, ask }): FuzzTarget => ({
    name: `answer with ${name}`,
    seeds: [...seeds(host), ...seeds(host), ...refusals(host).slice(0, 1), ...refusals(host)],
    parse: async (input) => {
      const client = new RegistryClient({
        ...{ plainHttp: 'all', retries: 0, headersTimeoutMs: 1000, bodyTimeoutMs: 1000 },
        credentials: new FixedCredentials(host, { username: 'a', password: 'pass' }),
      });
      try {
        await give(input, () => ask(client.repository(host, 'a/b')));
      } finally {
        await client.close();
      }
    },
  }));
  const transport = new Transport({ plainHttp: 'all', retries: 0 });
  const endpoint = { registry: host, root: new URL(`http://${host}/v2/`) };
  const service = { endpoint, realm: new URL(`http://${host}/token`), service: 's', credentials: undefined };
  const token: FuzzTarget = {
    name: 'answer of a token server',
    seeds: ['{"token":"x","expires_in":300,"issued_at":"2026-01-01T00:00:00Z"}', '{"access_token":"y"}'].map((text) =>
      Buffer.from(text),
    ),
    parse: (input) =>
      give(answer('200 OK', [json], input), () => requestToken(transport, service, ['repository:a:pull'])),
  };
  return {
    targets: [...answerTargets, token, ...asked],
    close: async () => {
      await transport.close();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  };
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('there is no port');
  return address.port;
}
