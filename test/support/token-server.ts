import { createPrivateKey, randomUUID, sign, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

import { type Certificate, CertificateAuthority } from './certificates.ts';

/** What was asked of the token server: one GET or POST. */
export interface TokenRequest {
  readonly method: string;
  /** The user who logged in; undefined where the request had no valid login. */
  readonly user: string | undefined;
  readonly scopes: readonly string[];
  readonly status: number;
}

export interface TokenServerOptions {
  /** Passwords by user name. */
  readonly users?: Readonly<Record<string, string>> | undefined;
  /** Refresh tokens (Docker's identity tokens), with the user whom each stands for. */
  readonly identityTokens?: Readonly<Record<string, string>> | undefined;
  /** Serve HTTPS with this certificate. */
  readonly tls?: Certificate | undefined;
  readonly expiresInSeconds?: number | undefined;
  /**
   * Which actions `user` gets on `repository`. Default: all for users, none for the anonymous.
   */
  readonly grant?:
    ((user: string | undefined, repository: string, actions: readonly string[]) => readonly string[]) | undefined;
  /** As Harbor does: a wrong password together with a scope gives an anonymous token. Default: 401. */
  readonly anonymousOnWrongPassword?: boolean | undefined;
}

/**
 * A token server as Docker's registry token specification describes it, whose JWTs `docker-registry` accepts. Its
 * `realm`, `service`, `issuer` and `rootCertificatePath` are what `startDockerRegistry({ tokenAuth })` wants.
 */
export interface TokenServer {
  readonly realm: string;
  readonly service: string;
  readonly issuer: string;
  readonly rootCertificatePath: string;
  /** All that was asked so far. */
  readonly requests: readonly TokenRequest[];
  /** All tokens that it has given. */
  readonly issued: readonly string[];
  stop(): Promise<void>;
}

interface Access {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

const service = 'edge-bundle test registry';
const issuer = 'edge-bundle test tokens';

export async function startTokenServer(options: TokenServerOptions = {}): Promise<TokenServer> {
  const authority = await CertificateAuthority.create();
  const signer = await authority.issue(['token.test']);
  const requests: TokenRequest[] = [];
  const issued: string[] = [];
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    void answer(request, options, signer).then(({ status, body, token, ...seen }) => {
      if (token !== undefined) issued.push(token);
      requests.push({ method: request.method ?? '', status, ...seen });
      response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
    });
  };
  const server =
    options.tls === undefined
      ? createHttpServer(listener)
      : createHttpsServer({ cert: options.tls.certificate, key: options.tls.key }, listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    realm: `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}/token`,
    service,
    issuer,
    rootCertificatePath: authority.certificatePath,
    requests,
    issued,
    async stop() {
      server.close();
      server.closeAllConnections();
      await authority.remove();
    },
  };
}

interface Answer {
  readonly status: number;
  readonly body: object;
  readonly token?: string;
  readonly user: string | undefined;
  readonly scopes: readonly string[];
}

async function answer(request: IncomingMessage, options: TokenServerOptions, signer: Certificate): Promise<Answer> {
  const isPost = request.method === 'POST';
  const parameters = isPost
    ? new URLSearchParams(await readText(request))
    : new URL(request.url ?? '', 'http://localhost').searchParams;
  const scopes = parameters.getAll('scope').flatMap((scope) => scope.split(' '));
  const login = isPost ? refreshLogin(parameters, options) : basicLogin(request, options);
  const isTolerated = options.anonymousOnWrongPassword === true && scopes.length > 0;
  if (login === 'wrong' && !isTolerated) {
    return { status: 401, body: { details: 'incorrect username or password' }, user: undefined, scopes };
  }
  const user = login === 'wrong' ? undefined : login;
  const { expiresInSeconds = 300 } = options;
  const token = signToken(signer, { user, access: granted(user, scopes, options), expiresInSeconds });
  const body = isPost ? { access_token: token } : { token, access_token: '' };
  return { status: 200, body: { ...body, expires_in: expiresInSeconds }, token, user, scopes };
}

function basicLogin(request: IncomingMessage, options: TokenServerOptions): string | undefined {
  const { authorization } = request.headers;
  if (authorization === undefined) return undefined;
  const text = Buffer.from(authorization.replace(/^Basic /, ''), 'base64').toString('utf8');
  const colon = text.indexOf(':');
  const [user, password] = [text.slice(0, colon), text.slice(colon + 1)];
  return options.users?.[user] === password ? user : 'wrong';
}

function refreshLogin(parameters: URLSearchParams, options: TokenServerOptions): string {
  const token = parameters.get('refresh_token') ?? '';
  return parameters.get('grant_type') === 'refresh_token' ? (options.identityTokens?.[token] ?? 'wrong') : 'wrong';
}

function granted(user: string | undefined, scopes: readonly string[], options: TokenServerOptions): readonly Access[] {
  const grant = options.grant ?? ((name, _repository, actions) => (name === undefined ? [] : actions));
  return scopes.map((scope) => {
    const [type = '', ...rest] = scope.split(':');
    const actions = (rest.pop() ?? '').split(',');
    const name = rest.join(':');
    return { type, name, actions: grant(user, name, actions) };
  });
}

interface TokenContent {
  readonly user: string | undefined;
  readonly access: readonly Access[];
  readonly expiresInSeconds: number;
}

function signToken(signer: Certificate, content: TokenContent): string {
  const now = Math.floor(Date.now() / 1000);
  const header = {
    typ: 'JWT',
    alg: 'ES256',
    x5c: [new X509Certificate(signer.certificate).raw.toString('base64')],
  };
  const claims = {
    ...{ iss: issuer, aud: service, sub: content.user ?? '', access: content.access, jti: randomUUID() },
    ...{ iat: now, nbf: now - 5, exp: now + content.expiresInSeconds },
  };
  const signed = `${base64url(header)}.${base64url(claims)}`;
  const key = createPrivateKey(signer.key);
  const signature = sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${signature.toString('base64url')}`;
}

function base64url(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
