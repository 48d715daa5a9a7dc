import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { type Content, contentsOf } from './graphs.ts';

export interface CountingRegistryOptions {
  readonly username: string;
  readonly password: string;
}

/**
 * A registry in memory whose repositories want a token for each of them, as Docker Hub's do, and that counts what it is
 * asked for.
 */
export interface CountingRegistry {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  /** Whether it has the referrers API; without, it answers 404 as docker-registry does. Default: true. */
  hasReferrers: boolean;
  /** How often what was asked for: `GET app/web/manifests/1.0`, `GET /v2/`, `token repository:app/web:pull`. */
  readonly counts: ReadonlyMap<string, number>;
  /** Puts content into a repository, under a tag where one is given. */
  add(repository: string, content: Content, tag?: string): void;
  /** Forgets what was counted, and all tokens. */
  reset(): void;
  stop(): Promise<void>;
}

interface RepositoryContent {
  /** By tag. */
  readonly tags: Map<string, Content>;
  /** By digest; manifests too. */
  readonly contents: Map<string, Content>;
  /** By the digest of their subject. */
  readonly referrers: Map<string, Content[]>;
}

export async function startCountingRegistry(login: CountingRegistryOptions): Promise<CountingRegistry> {
  const repositories = new Map<string, RepositoryContent>();
  const counts = new Map<string, number>();
  const scopesOf = new Map<string, readonly string[]>();
  const basic = `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`;
  const count = (what: string): unknown => counts.set(what, (counts.get(what) ?? 0) + 1);

  const giveToken = ({ headers }: IncomingMessage, response: ServerResponse, url: URL): void => {
    const scopes = url.searchParams.getAll('scope');
    count(['token', ...scopes].join(' '));
    if (headers.authorization !== basic) return void response.writeHead(401).end();
    const token = randomUUID();
    scopesOf.set(token, scopes);
    sendJson(response, { token, expires_in: 3600 });
  };

  const refuse = (response: ServerResponse): void => {
    const challenge = `Bearer realm="http://${registry.host}/token",service="counting"`;
    response.writeHead(401, { 'WWW-Authenticate': challenge }).end();
  };

  const giveContent = (request: IncomingMessage, response: ServerResponse, path: string): void => {
    const [, name = '', kind, reference = ''] = /^(.+)\/(manifests|blobs|referrers|tags)\/([^/]+)$/.exec(path) ?? [];
    const repository = repositories.get(name);
    const { tags, contents, referrers } = repository ?? emptyRepository();
    if (repository !== undefined && kind === 'tags') {
      sendJson(response, { name, tags: [...tags.keys()] });
      return;
    }
    if (kind === 'referrers' && registry.hasReferrers) {
      const manifests = (referrers.get(reference) ?? []).map(({ descriptor }) => descriptor);
      sendJson(response, { schemaVersion: 2, manifests });
      return;
    }
    const content = kind === 'referrers' ? undefined : (tags.get(reference) ?? contents.get(reference));
    if (content === undefined) return void response.writeHead(404).end();
    const { mediaType, digest, size } = content.descriptor;
    response.writeHead(200, { 'Content-Type': mediaType, 'Content-Length': size, 'Docker-Content-Digest': digest });
    response.end(request.method === 'HEAD' ? undefined : content.bytes);
  };

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', `http://${registry.host}`);
    if (url.pathname === '/token') {
      giveToken(request, response, url);
      return;
    }
    const path = url.pathname.replace(/^\/v2\/(?=.)/, '');
    count(`${request.method ?? ''} ${path}`);
    const scopes = scopesOf.get(request.headers.authorization?.replace(/^Bearer /, '') ?? '');
    const isPing = path === '/v2/' && scopes !== undefined;
    const isAllowed = scopes?.some((scope) => path.startsWith(`${scope.split(':')[1] ?? ''}/`)) === true;
    if (isPing) sendJson(response, {});
    else if (isAllowed) giveContent(request, response, path);
    else refuse(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const registry: CountingRegistry = {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    hasReferrers: true,
    counts,
    add(name, root, tag) {
      const repository = repositories.get(name) ?? emptyRepository();
      repositories.set(name, repository);
      if (tag !== undefined) repository.tags.set(tag, root);
      for (const content of contentsOf(root)) repository.contents.set(content.descriptor.digest, content);
      const { subject } = JSON.parse(root.bytes.toString('utf8')) as { subject?: { digest: string } };
      if (subject === undefined) return;
      repository.referrers.set(subject.digest, [...(repository.referrers.get(subject.digest) ?? []), root]);
    },
    reset() {
      counts.clear();
      scopesOf.clear();
    },
    async stop() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
  return registry;
}

function emptyRepository(): RepositoryContent {
  return { tags: new Map(), contents: new Map(), referrers: new Map() };
}

function sendJson(response: ServerResponse, value: object): void {
  response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(value));
}
