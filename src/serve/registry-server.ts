import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, isIPv6 } from 'node:net';

import { EdgeBundleError, errorMessage, isEdgeBundleError, systemErrorCode } from '../errors.ts';
import { answer } from './answer.ts';
import { Exchange } from './exchange.ts';
import type { Htpasswd } from './htpasswd.ts';
import { ensureGuarded } from './listen-address.ts';
import { asProtocolError, ProtocolError } from './protocol-error.ts';
import type { RegistryContent } from './registry-content.ts';
import { Turns } from './turns.ts';
import { UploadSessions } from './upload-sessions.ts';

/** A certificate chain and its key, in PEM. */
export interface ServerTls {
  readonly cert: string;
  readonly key: string;
}

export interface RegistryServerOptions {
  readonly content: RegistryContent;
  /** Default: 127.0.0.1, so that nobody else reaches it. Elsewhere it wants `tls` and `users`, or to be told otherwise. */
  readonly host?: string | undefined;
  /** Default: 0, any free port. */
  readonly port?: number | undefined;
  /** Default: plain HTTP. */
  readonly tls?: ServerTls | undefined;
  /** Who may use it, each for everything. Default: whoever reaches it. */
  readonly users?: Htpasswd | undefined;
  /** Let others than this machine reach it without a login. Default: false. */
  readonly allowAnonymous?: boolean | undefined;
  /** Let others than this machine reach it without TLS. Default: false. */
  readonly allowPlainHttp?: boolean | undefined;
  /** How many connections may be open at once; one that takes content of a bundle holds up to 3 MB of memory. Default: 256. */
  readonly maxConnections?: number | undefined;
  /** The most that one blob may have; in bytes. Default: 1 TiB, which leaves the limit to the disk. */
  readonly maxBlobBytes?: number | undefined;
  /** How many uploads may be open at once. Default: 256. */
  readonly maxUploads?: number | undefined;
  /** An upload that nobody goes on with is removed after this time; in milliseconds. Default: 10 minutes. */
  readonly uploadIdleMs?: number | undefined;
  /** A client that sends nothing while it is waited for loses its connection after this time; in milliseconds. Default: 1 minute. */
  readonly stallMs?: number | undefined;
  /**
   * The least that a client sends of a body, on an average over `stallMs`, and the least that it takes of an answer, on an average over all
   * of it, after `stallMs`; in bytes a second. Default: 512.
   */
  readonly minBytesPerSecond?: number | undefined;
  /** How long an upload may be open, whatever its client does; in milliseconds. Default: 24 hours. */
  readonly maxUploadMs?: number | undefined;
  /** Called once for each request that was looked at, when its connection is free again or gone. */
  readonly onRequest?: ((event: RequestEvent) => void) | undefined;
  /** Told of failures of the server itself, such as content that cannot be read; the client was told of them too. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

export interface RequestEvent {
  readonly method: string;
  /** Path and query, as the client wrote them. */
  readonly url: string;
  /** 0 where the connection ended before there was an answer. */
  readonly status: number;
  /** Whether the whole answer was sent. */
  readonly isComplete: boolean;
  /** Of the request's body. */
  readonly receivedBytes: number;
  /** Of the answer's body. */
  readonly sentBytes: number;
  readonly durationMs: number;
}

export interface RegistryServer {
  /** `http://127.0.0.1:5000` */
  readonly url: string;
  readonly address: AddressInfo;
  /** Ends all connections, removes unfinished uploads, and closes the content. */
  close(): Promise<void>;
}

const maxHeaderBytes = 16 * 1024;
const defaultStallMs = 60_000;
const keepAliveMs = 65_000;
const lingerMs = 2_000;
const connectionErrors: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE']);

/**
 * Serves `content` as a registry: OCI distribution-spec v1.1, with `_catalog` and without deletion.
 *
 * @throws EdgeBundleError CONFIG_INVALID where the certificate or key cannot be used; or others would
 *   reach it unguarded; FAILED where the address cannot
 */
export async function startRegistryServer(options: RegistryServerOptions): Promise<RegistryServer> {
  const { content, host = '127.0.0.1', port = 0 } = options;
  ensureGuarded({
    host,
    hasTls: options.tls !== undefined,
    hasUsers: options.users !== undefined,
    allowAnonymous: options.allowAnonymous ?? false,
    allowPlainHttp: options.allowPlainHttp ?? false,
  });
  const onError = options.onError ?? (() => undefined);
  const sessions = new UploadSessions({
    folder: content.writer?.uploadFolder ?? '',
    maxSessions: options.maxUploads ?? 256,
    idleMs: options.uploadIdleMs ?? 600_000,
    maxMs: options.maxUploadMs ?? 24 * 3_600_000,
    onError,
  });
  const running = new Set<Promise<void>>();
  const turns = new Turns();
  const answerInTurn = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (await turns.hasCome(request, response)) await handle(request, response, { ...options, onError }, sessions);
  };
  const server = createServer(options, (request, response) => {
    const handled = answerInTurn(request, response).catch(onError);
    running.add(handled);
    void handled.finally(() => running.delete(handled));
  });
  server.maxConnections = options.maxConnections ?? 256;
  const address = await listen(server, host, port);
  server.on('error', onError);
  return {
    url: `${options.tls === undefined ? 'http' : 'https'}://${isIPv6(host) ? `[${host}]` : host}:${address.port}`,
    address,
    close: async () => {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      await Promise.all(running);
      await sessions.close();
      await content.close();
    },
  };
}

async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  options: RegistryServerOptions & { readonly onError: (error: unknown) => void },
  sessions: UploadSessions,
): Promise<void> {
  const { content, onError, maxBlobBytes = 2 ** 40, stallMs = defaultStallMs, minBytesPerSecond = 512 } = options;
  const startedMs = performance.now();
  const { method = '', url = '' } = request;
  const exchange = new Exchange(request, response, { stallMs, minBytesPerSecond });
  response.once('close', () => {
    options.onRequest?.({
      method,
      url,
      status: response.headersSent ? response.statusCode : 0,
      isComplete: response.writableFinished,
      receivedBytes: exchange.receivedBytes,
      sentBytes: exchange.sentBytes,
      durationMs: performance.now() - startedMs,
    });
  });
  response.setHeader('docker-distribution-api-version', 'registry/2.0');
  try {
    ensureNoPage(exchange);
    if (options.users !== undefined) await ensureLogin(options.users, exchange);
    await answer({ exchange, content, sessions, maxBlobBytes });
  } catch (error) {
    const isClients = error instanceof ProtocolError || (exchange.signal.aborted && isConnectionError(error));
    if (!isClients) onError(error);
    if (response.headersSent || response.destroyed) response.destroy();
    else sendError(exchange, asProtocolError(error));
  }
  if (!request.complete) dropRest(request);
}

/**
 * A browser on this machine reaches the loopback address too, and says with whatever can change something which page asks: the Fetch
 * standard, "`Origin` header". No program that pushes or pulls images has one.
 */
function ensureNoPage(exchange: Exchange): void {
  if (exchange.header('origin') === undefined) return;
  throw new ProtocolError(403, 'DENIED', 'this registry is not for pages in a browser');
}

/** Before anything of the request but its headers is looked at. */
async function ensureLogin(users: Htpasswd, exchange: Exchange): Promise<void> {
  if (await users.accepts(exchange.header('authorization'))) return;
  throw new ProtocolError(401, 'UNAUTHORIZED', 'a user and a password of this registry are needed', {
    headers: { 'www-authenticate': 'Basic realm="edge-bundle", charset="UTF-8"' },
  });
}

function sendError(exchange: Exchange, error: ProtocolError): void {
  exchange.sendBytes(error.status, { 'content-type': 'application/json', ...error.headers }, error.body);
}

/** What reading and writing end with when a client goes away. */
function isConnectionError(error: unknown): boolean {
  const code = systemErrorCode(error) ?? '';
  return isEdgeBundleError(error, 'ABORTED') || connectionErrors.has(code);
}

/**
 * Drops the rest of a body that nobody wants, for a while: a connection that is closed at once takes the answer with it,
 * and a client that has read the answer stops sending.
 */
function dropRest(request: IncomingMessage): void {
  const timer = setTimeout(() => request.socket.destroy(), lingerMs);
  request.once('close', () => clearTimeout(timer));
  request.resume();
}

function createServer(
  { tls, stallMs = defaultStallMs }: RegistryServerOptions,
  listener: (request: IncomingMessage, response: ServerResponse) => void,
): Server {
  const limits = {
    maxHeaderSize: maxHeaderBytes,
    // Whatever NODE_OPTIONS says: two readers of one request are not to see two things in it.
    insecureHTTPParser: false,
    headersTimeout: stallMs,
    connectionsCheckingInterval: stallMs / 2,
    // None for a whole request: a large blob over a slow line takes hours. The exchange watches for progress.
    requestTimeout: 0,
    keepAliveTimeout: keepAliveMs,
  };
  if (tls === undefined) return createHttpServer(limits, listener);
  try {
    return createHttpsServer({ ...limits, handshakeTimeout: stallMs, cert: tls.cert, key: tls.key }, listener);
  } catch (cause) {
    throw new EdgeBundleError(
      'CONFIG_INVALID',
      `the server's certificate and key do not work: ${errorMessage(cause)}`,
      {
        hint: 'Both are PEM files, and the key belongs to the first certificate.',
        cause,
      },
    );
  }
}

async function listen(server: Server, host: string, port: number): Promise<AddressInfo> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.removeListener('error', reject);
      resolve();
    });
  }).catch((cause: unknown) => {
    throw new EdgeBundleError('FAILED', `cannot listen on ${host}, port ${port}: ${errorMessage(cause)}`, {
      hint: 'Choose another address, or stop what uses it.',
      cause,
    });
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new EdgeBundleError('FAILED', `${host} has no port`);
  return address;
}
