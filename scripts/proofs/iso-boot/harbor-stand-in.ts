import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, request as httpsRequest } from 'node:https';
import { join } from 'node:path';

/**
 * What a loader sees of Harbor, in the virtual machine of the proof: its API and its tokens, in front of Debian's docker-registry,
 * which keeps the content. Projects are folders, so that they are still there after a power cut.
 *
 * Usage: harbor-stand-in FOLDER, with server.crt, server.key, ca.crt and password in it; the registry is at https://127.0.0.1:5000.
 */
const [, , folder = '.'] = process.argv;
const read = (name: string): Buffer => readFileSync(join(folder, name));
const ca = read('ca.crt');
const password = read('password').toString('utf8').trim();
const login = `Basic ${Buffer.from(`admin:${password}`).toString('base64')}`;
const host = '127.0.0.1:30003';
const tokens = new Set<string>();
const components = ['core', 'registry', 'database', 'redis'].map((name) => ({ name, status: 'healthy' }));
let stored = 0;

createServer({ cert: read('server.crt'), key: read('server.key') }, (request, response) => {
  const url = new URL(request.url ?? '/', `https://${host}`);
  if (url.pathname.startsWith('/v2/')) content(request, response, url);
  else if (url.pathname === '/service/token') token(request, response);
  else api(request, response, url);
}).listen(30003, '127.0.0.1', () => say('listening'));

function token({ headers }: IncomingMessage, response: ServerResponse): void {
  if (headers.authorization !== login) {
    json(response, 401, { errors: [{ code: 'UNAUTHORIZED', message: 'unauthorized' }] });
    return;
  }
  const value = randomUUID();
  tokens.add(value);
  json(response, 200, { token: value, access_token: '', expires_in: 1800, issued_at: new Date().toISOString() });
}

function api(request: IncomingMessage, response: ServerResponse, url: URL): void {
  const path = url.pathname.replace('/api/v2.0', '');
  const project = (name: string): string => join(folder, 'projects', encodeURIComponent(name));
  if (path === '/health') json(response, 200, { status: 'healthy', components });
  else if (path === '/ping') response.end('Pong');
  else if (request.headers.authorization !== login && path !== '/systeminfo') json(response, 401, { errors: [] });
  else if (path === '/systeminfo')
    json(response, 200, { harbor_version: 'v2.15.2-stand-in', external_url: `https://${host}`, read_only: false });
  else if (path === '/projects' && request.method === 'HEAD') {
    response.writeHead(existsSync(project(url.searchParams.get('project_name') ?? '')) ? 200 : 404).end();
  } else if (path === '/projects' && request.method === 'POST') {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { project_name: name } = JSON.parse(Buffer.concat(chunks).toString()) as { project_name: string };
      const isThere = existsSync(project(name));
      mkdirSync(project(name), { recursive: true });
      json(response, isThere ? 409 : 201, {});
    });
  } else if (/^\/projects\/[^/]+\/summary$/.test(path))
    json(response, 200, { quota: { hard: { storage: -1 }, used: { storage: 0 } } });
  else json(response, 404, { errors: [{ code: 'NOT_FOUND', message: path }] });
}

/** Whoever has a token reaches the registry. */
function content(request: IncomingMessage, response: ServerResponse, { pathname, search }: URL): void {
  const { authorization = '' } = request.headers;
  const isKnown =
    authorization === login || (authorization.startsWith('Bearer ') && tokens.has(authorization.slice(7)));
  if (!isKnown) {
    response.setHeader('WWW-Authenticate', `Bearer realm="https://${host}/service/token",service="harbor-registry"`);
    json(response, 401, { errors: [{ code: 'UNAUTHORIZED', message: 'unauthorized' }] });
    return;
  }
  const headers = { ...request.headers, host };
  delete headers.authorization;
  const onward = httpsRequest(
    {
      host: '127.0.0.1',
      port: 5000,
      path: `${pathname}${search}`,
      method: request.method,
      ca,
      headers,
    },
    (answer: IncomingMessage) => {
      const isBlob = request.method === 'PUT' && answer.statusCode === 201 && pathname.includes('/blobs/');
      if (isBlob) say(`stored blob ${(stored += 1)}`);
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    },
  );
  onward.once('error', () => (response.headersSent ? response.destroy() : json(response, 502, { errors: [] })));
  request.pipe(onward);
}

function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(value));
}

function say(text: string): void {
  process.stdout.write(`harbor: ${text}\n`);
}
