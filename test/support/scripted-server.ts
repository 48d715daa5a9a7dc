import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/** Answers one request; whatever it throws ends the connection. */
export type Answer = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** By method and path, without the query: `GET /v2/app/tags/list`. */
export type Script = Readonly<Record<string, Answer>>;

export interface SeenRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
}

/** An HTTP server that does what a test says: what no real registry can be made to do. */
export interface ScriptedServer {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  readonly url: string;
  readonly requests: readonly SeenRequest[];
  stop(): Promise<void>;
}

export interface ScriptedServerOptions {
  readonly tls?: { readonly certificate: string; readonly key: string } | undefined;
  /** Only clients with a certificate of this CA, in PEM, are served. */
  readonly clientAuthority?: string | undefined;
}

/** What the script does not name is 404, but for `GET /v2/`, which is 200: a registry that wants no login. */
export async function startScriptedServer(
  script: Script,
  options: ScriptedServerOptions = {},
): Promise<ScriptedServer> {
  const requests: SeenRequest[] = [];
  const known: Script = { 'GET /v2/': (_request, response) => void response.end('{}'), ...script };
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    const { method = '', url: path = '', headers } = request;
    requests.push({ method, path, headers });
    const answer = known[`${method} ${path.replace(/\?.*$/, '')}`] ?? notFound;
    request.on('error', () => undefined);
    Promise.resolve(answer(request, response)).catch(() => response.destroy());
  };
  const { tls, clientAuthority } = options;
  const clients =
    clientAuthority === undefined ? {} : { ca: clientAuthority, requestCert: true, rejectUnauthorized: true };
  const server =
    tls === undefined
      ? createHttpServer(listener)
      : createHttpsServer({ cert: tls.certificate, key: tls.key, ...clients }, listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    host,
    url: `${tls === undefined ? 'http' : 'https'}://${host}`,
    requests,
    async stop() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** An answer that is always the same. */
export function reply(status: number, headers: Record<string, string> = {}, body: string | Uint8Array = ''): Answer {
  return (request, response) => {
    request.resume();
    response.writeHead(status, headers).end(body);
  };
}

function notFound(request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  response.writeHead(404).end();
}
