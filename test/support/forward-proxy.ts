import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, request as httpRequest } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect, isIP, type Socket } from 'node:net';

export interface ForwardProxyOptions {
  /** Where names lead: `registry.test:443` → `127.0.0.1:40001`. Those that are not here cannot be reached. */
  readonly names?: Readonly<Record<string, string>> | undefined;
  /** `user:password` that is wanted. */
  readonly login?: string | undefined;
  /** The status that CONNECT is refused with. */
  readonly refusal?: number | undefined;
  /** CONNECT is taken, and nothing answered. */
  readonly hangs?: boolean | undefined;
  readonly tls?: { readonly certificate: string; readonly key: string } | undefined;
}

/** An HTTP proxy as companies have them: CONNECT for TLS, and requests with a whole address for plain HTTP. */
export interface ForwardProxy {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  /** `CONNECT registry.test:443`, `GET http://registry.test/v2/`. */
  readonly requests: readonly string[];
  stop(): Promise<void>;
}

export async function startForwardProxy(options: ForwardProxyOptions = {}): Promise<ForwardProxy> {
  const { names = {}, login, refusal, hangs = false, tls } = options;
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  const wanted = login === undefined ? undefined : `Basic ${Buffer.from(login).toString('base64')}`;
  const isAllowed = ({ headers }: IncomingMessage): boolean =>
    wanted === undefined || headers['proxy-authorization'] === wanted;
  const placeOf = (name: string): { host: string; port: number } => {
    const [host = '', port = ''] = (names[name] ?? name).split(':');
    return { host, port: Number(port) };
  };
  const server = tls === undefined ? createHttpServer() : createHttpsServer({ cert: tls.certificate, key: tls.key });
  server.on('request', (incoming: IncomingMessage, outgoing) => {
    requests.push(`${incoming.method ?? ''} ${incoming.url ?? ''}`);
    if (!isAllowed(incoming)) return void outgoing.writeHead(407, { 'Proxy-Authenticate': 'Basic realm="p"' }).end();
    const url = new URL(incoming.url ?? '');
    const headers = { ...incoming.headers };
    delete headers['proxy-authorization'];
    const place = placeOf(url.port === '' ? `${url.hostname}:80` : url.host);
    const forward = httpRequest({ ...place, method: incoming.method, path: `${url.pathname}${url.search}`, headers });
    forward.on('response', (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    forward.on('error', () => outgoing.destroy());
    incoming.pipe(forward);
  });
  server.on('connect', (incoming: IncomingMessage, socket: Socket, head: Buffer) => {
    requests.push(`CONNECT ${incoming.url ?? ''}`);
    sockets.add(socket);
    socket.on('error', () => undefined);
    if (hangs) return;
    const place = placeOf(incoming.url ?? '');
    const status = isAllowed(incoming) ? (refusal ?? (isIP(place.host) === 0 ? 502 : undefined)) : 407;
    if (status !== undefined) return void socket.end(`HTTP/1.1 ${status} Refused\r\nContent-Length: 0\r\n\r\n`);
    const onward = connect(place, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      onward.write(head);
      onward.pipe(socket).pipe(onward);
    });
    sockets.add(onward);
    onward.on('error', () => socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
