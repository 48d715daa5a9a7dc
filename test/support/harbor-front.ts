import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { CertificateAuthority } from './certificates.ts';
import { type DockerRegistry, startDockerRegistry } from './docker-registry.ts';
import { HarborTokens, type HarborUser, HarborUsers, projectOf, type TokenAccess } from './harbor-accounts.ts';
import { sendError, sendJson } from './harbor-answers.ts';
import { HarborApi } from './harbor-api.ts';
import { type Caller, HarborRegistry } from './harbor-registry.ts';
import { defaultKnobs, HarborState } from './harbor-state.ts';

export interface HarborFrontOptions {
  /** Default: `harborAdmin`, and nobody else. */
  readonly users?: readonly HarborUser[] | undefined;
}

export const harborAdmin: HarborUser = { name: 'admin', password: 'Harbor12345', admin: true };

/** A request as it came, and what was answered: 0 until then, and where the connection broke before. */
export interface HarborRequest {
  readonly method: string;
  readonly path: string;
  status: number;
}

const redundantTokensAllowed = 3;
const basicRequestsAllowed = 3;
/** About four workers is what Harbor's one row of a project's quota bears. */
const requestsAtOnceAllowed = 6;
const mutating: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);

/**
 * An HTTPS server that behaves as Harbor 2.15 does, in front of a real docker-registry: its answers, and its refusals
 * where a client is wrong. What would harm a real Harbor without a refusal is recorded in `state.violations`.
 */
export class HarborFront {
  readonly state = new HarborState();
  readonly requests: HarborRequest[] = [];
  /** The docker-registry behind it, which asks for no credentials. */
  readonly backend: DockerRegistry;
  /** Answers a request instead of the front, where it returns true: faults of a test. */
  intercept: ((request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>) | undefined;

  readonly #authority: CertificateAuthority;
  readonly #users: HarborUsers;
  readonly #tokens = new HarborTokens();
  readonly #server: Server;
  readonly #logins = new Map<string, LoginRecord>();
  readonly #api: HarborApi;
  readonly #registry: HarborRegistry;
  readonly #port: number;
  #atOnce = 0;

  private constructor(parts: HarborParts, users: readonly HarborUser[]) {
    const { server, authority, backend } = parts;
    this.#authority = authority;
    this.backend = backend;
    this.#users = new HarborUsers(users);
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
    const { state, url, ca } = this;
    this.#api = new HarborApi({ state, url, ca });
    this.#registry = new HarborRegistry({ state, url, backend: backend.url });
    server.on('request', (request, response) => void this.#answer(request, response));
  }

  static async start({ users = [harborAdmin] }: HarborFrontOptions = {}): Promise<HarborFront> {
    const [authority, backend] = await Promise.all([CertificateAuthority.create(), startDockerRegistry()]);
    const { certificate, key } = await authority.issue(['127.0.0.1', 'localhost', 'spectro.registry.local']);
    const server = createServer({ cert: certificate, key });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new HarborFront({ server, authority, backend }, users);
  }

  get host(): string {
    return `127.0.0.1:${this.#port}`;
  }

  get url(): string {
    return `https://${this.host}`;
  }

  /** PEM. */
  get ca(): string {
    return this.#authority.certificate;
  }

  get caPath(): string {
    return this.#authority.certificatePath;
  }

  /** Ends every connection and refuses new ones, as a Harbor that restarts; `resume` ends that. State and port are kept. */
  async pause(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async resume(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async close(): Promise<void> {
    if (this.#server.listening) await this.pause();
    this.#registry.close();
    await Promise.all([this.backend.stop(), this.#authority.remove()]);
  }

  /** Turns all knobs back, and forgets requests, violations and logins; projects and content stay. */
  reset(): void {
    Object.assign(this.state.knobs, defaultKnobs());
    this.state.violations.length = 0;
    this.requests.length = 0;
    this.intercept = undefined;
    this.state.uploadedBytes = 0;
    this.state.lostBytes = 0;
    this.state.onUpload = undefined;
    this.#logins.clear();
  }

  /** How many requests came whose method and path match. */
  count(method: string, path: RegExp): number {
    return this.requests.filter((request) => request.method === method && path.test(request.path)).length;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url: path = '' } = request;
    const record: HarborRequest = { method, path, status: 0 };
    this.requests.push(record);
    response.once('finish', () => {
      record.status = response.statusCode;
      // A body that nobody wanted: the next request of the connection is behind it.
      request.resume();
    });
    response.setHeader('set-cookie', `sid=${randomUUID()}; Path=/; HttpOnly`);
    response.setHeader('x-request-id', randomUUID());
    this.#countAtOnce(request, response);
    if ((await this.intercept?.(request, response)) === true) return;
    if (/(^|;\s*)sid=/.test(request.headers.cookie ?? '')) {
      this.state.violate('cookie-kept', `${method} ${path}`);
      if (mutating.has(method)) {
        sendError(response, 403, 'FORBIDDEN', 'CSRF token invalid');
        return;
      }
    }
    try {
      const caller = await this.#identify(request);
      if (path.startsWith('/service/token')) this.#token(request, response, caller);
      else if (path.startsWith('/api/v2.0/')) await this.#api.answer(request, response, caller.user);
      else if (/^\/v2(\/|$)/.test(path)) await this.#registry.answer(request, response, caller);
      else sendError(response, 404, 'NOT_FOUND', 'page not found');
    } catch (error) {
      if (!response.headersSent) sendError(response, 500, 'UNKNOWN', String(error));
      else response.destroy();
    }
  }

  #countAtOnce({ method = '', url = '' }: IncomingMessage, response: ServerResponse): void {
    if (!url.startsWith('/v2/')) return;
    this.#atOnce += 1;
    if (this.#atOnce > requestsAtOnceAllowed) this.state.violate('too-many-at-once', `${method} ${url}`);
    response.once('close', () => (this.#atOnce -= 1));
  }

  async #identify(request: IncomingMessage): Promise<Caller> {
    const { authorization } = request.headers;
    if (authorization === undefined) return { sent: false, user: undefined, token: undefined };
    const [scheme = '', value = ''] = authorization.split(' ');
    if (scheme.toLowerCase() === 'bearer') return { sent: true, user: undefined, token: this.#tokens.check(value) };
    const [, name = '', password = ''] = /^([^:]*):(.*)$/s.exec(Buffer.from(value, 'base64').toString()) ?? [];
    return { sent: true, user: await this.#login(request, name, password), token: undefined };
  }

  async #login(request: IncomingMessage, name: string, password: string): Promise<HarborUser | undefined> {
    const line = `${request.method ?? ''} ${request.url ?? ''}`;
    const record = this.#loginRecord(name, line);
    if (record.pending > 0 && !record.succeeded) this.state.violate('login-storm', line);
    if (/ \/v2\/./.test(line)) record.basic++;
    if (record.basic > basicRequestsAllowed) this.state.violate('basic-for-bulk-work', line);
    record.pending++;
    await sleep(this.state.knobs.passwordCheckMs);
    record.pending--;
    const user = this.#users.login(name, password);
    record.succeeded ||= user !== undefined;
    return user;
  }

  /** A login that asks for nothing else is where a client begins. */
  #loginRecord(name: string, line: string): LoginRecord {
    const isBegin = line.endsWith(' /v2/') || (line.includes(' /service/token') && !line.includes('scope='));
    let record = this.#logins.get(name);
    if (record === undefined || (isBegin && record.pending === 0)) {
      record = { pending: 0, succeeded: false, basic: 0, tokens: new Map(), redundant: 0 };
      this.#logins.set(name, record);
    }
    return record;
  }

  /** Bad credentials and a scope: 200 and an anonymous token. Without a scope: 401. */
  #token(request: IncomingMessage, response: ServerResponse, { user }: Caller): void {
    const { searchParams } = new URL(request.url ?? '', this.url);
    if (request.method !== 'GET' || searchParams.get('service') !== 'harbor-registry') {
      response.writeHead(request.method === 'GET' ? 400 : 405).end();
      return;
    }
    const scopes = searchParams.getAll('scope').flatMap((scope) => scope.split(' '));
    if (user === undefined && scopes.length === 0) {
      response.writeHead(401).end();
      return;
    }
    const access = scopes.map((scope): TokenAccess => {
      const [type = '', ...rest] = scope.split(':');
      const name = rest.slice(0, -1).join(':');
      const project = this.state.projects.get(projectOf(name));
      return { type, name, actions: project === undefined ? [] : this.state.actionsOf(user, project) };
    });
    if (user !== undefined) this.#countToken(user, access, request.url ?? '');
    const lifetimeMs = this.state.knobs.tokenLifetimeMs;
    const token = this.#tokens.issue(user?.name ?? '', access, lifetimeMs);
    const issued = { token, access_token: '', expires_in: Math.floor(lifetimeMs / 1000), issued_at: new Date() };
    sendJson(response, 200, issued);
  }

  /** One token covers all repositories of a project: asking again while it is good is of no use. */
  #countToken(user: HarborUser, access: readonly TokenAccess[], path: string): void {
    const record = this.#logins.get(user.name);
    if (record === undefined || user.isPeer === true) return;
    const now = Date.now();
    const projects = access.filter(({ actions }) => actions.length > 0).map(({ name }) => projectOf(name));
    const isRedundant = projects.length > 0 && projects.every((project) => (record.tokens.get(project) ?? 0) > now);
    if (isRedundant && ++record.redundant > redundantTokensAllowed) this.state.violate('login-storm', `GET ${path}`);
    for (const project of projects) record.tokens.set(project, now + this.state.knobs.tokenLifetimeMs / 2);
  }
}

interface HarborParts {
  readonly server: Server;
  readonly authority: CertificateAuthority;
  readonly backend: DockerRegistry;
}

/** What a user has done since the first login. */
interface LoginRecord {
  pending: number;
  succeeded: boolean;
  /** Requests for content with a password, not a token. */
  basic: number;
  /** Project to when its token is old enough to be renewed. */
  readonly tokens: Map<string, number>;
  redundant: number;
}
