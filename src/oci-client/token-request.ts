import * as z from 'zod';

import { EdgeBundleError, type ErrorCode } from '../errors.ts';
import { registerSecret } from '../redaction.ts';
import { basicAuthorization, type Credentials } from './credentials.ts';
import type { Endpoint } from './endpoint.ts';
import type { HttpResponse } from './http-response.ts';
import { responseError } from './registry-error.ts';
import type { Token } from './token-cache.ts';
import type { Transport } from './transport.ts';

/** Where tokens for an endpoint come from, and who asks. */
export interface TokenService {
  readonly endpoint: Endpoint;
  readonly realm: URL;
  readonly service: string | undefined;
  readonly credentials: Credentials | undefined;
}

const maxAnswerBytes = 1024 * 1024;
const defaultLifetimeSeconds = 60;
const clientId = 'edge-bundle';
const unsupported: ReadonlySet<number> = new Set([404, 405, 501]);

const answerSchema = z.object({
  token: z.string().optional(),
  access_token: z.string().optional(),
  expires_in: z.number().positive().optional().catch(undefined),
  issued_at: z.string().optional().catch(undefined),
});

type Answer = z.infer<typeof answerSchema>;

/**
 * Asks for a token by Docker's registry token specification: GET, with the user's name and password as basic
 * authentication; the OAuth2 POST where there is an identity token, and for a password where a service knows no GET.
 *
 * @throws EdgeBundleError AUTH_FAILED, ACCESS_DENIED, and those of `Transport.send`
 */
export async function requestToken(
  transport: Transport,
  service: TokenService,
  scopes: readonly string[],
): Promise<Token> {
  const response = await ask(transport, service, scopes);
  if (response.status !== 200) throw await refusal(response, service, scopes);
  const answer = await readAnswer(response);
  const token = answer.token === undefined || answer.token === '' ? answer.access_token : answer.token;
  if (token === undefined || token === '') {
    throw new EdgeBundleError('AUTH_FAILED', `${response.what}: ${service.realm.host} answered without a token`);
  }
  registerSecret(token);
  return { header: `Bearer ${token}`, lifetimeMs: lifetimeMs(answer, response) };
}

async function ask(transport: Transport, service: TokenService, scopes: readonly string[]): Promise<HttpResponse> {
  const { credentials } = service;
  if (credentials !== undefined && 'identityToken' in credentials) {
    const { identityToken } = credentials;
    return post(transport, service, { scopes, grant: { grant_type: 'refresh_token', refresh_token: identityToken } });
  }
  const response = await get(transport, service, scopes);
  if (credentials === undefined || !unsupported.has(response.status)) return response;
  await response.discard();
  return post(transport, service, { scopes, grant: { grant_type: 'password', ...credentials } });
}

function get(transport: Transport, service: TokenService, scopes: readonly string[]): Promise<HttpResponse> {
  const { credentials } = service;
  const login = credentials !== undefined && 'password' in credentials ? credentials : undefined;
  const url = new URL(service.realm);
  if (service.service !== undefined) url.searchParams.append('service', service.service);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  if (login !== undefined) url.searchParams.append('account', login.username);
  const authorization = login === undefined ? undefined : basicAuthorization(login);
  return transport.send({ ...common(service), method: 'GET', url, authorization });
}

interface Grant {
  readonly scopes: readonly string[];
  readonly grant: Readonly<Record<string, string>>;
}

function post(transport: Transport, service: TokenService, { scopes, grant }: Grant): Promise<HttpResponse> {
  const form = new URLSearchParams({
    ...grant,
    client_id: clientId,
    ...(service.service === undefined ? {} : { service: service.service }),
    ...(scopes.length === 0 ? {} : { scope: scopes.join(' ') }),
  });
  return transport.send({
    ...common(service),
    method: 'POST',
    url: service.realm,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: Buffer.from(form.toString()),
  });
}

function common({ credentials, endpoint }: TokenService) {
  const purpose = credentials === undefined ? 'get an anonymous token for' : 'log in to';
  return { what: `cannot ${purpose} ${endpoint.registry}`, peer: endpoint.peer };
}

async function readAnswer(response: HttpResponse): Promise<Answer> {
  const text = (await response.read(maxAnswerBytes)).toString('utf8');
  try {
    return answerSchema.parse(JSON.parse(text));
  } catch {
    // Without the cause: its text could hold a token.
    throw new EdgeBundleError(
      'REGISTRY_ERROR',
      `${response.what}: the answer of ${response.url.host} is not a token in JSON`,
    );
  }
}

/** A token may come out of a cache. Its age is told by the service's own clock: this machine's may be wrong. */
function lifetimeMs(answer: Answer, response: HttpResponse): number {
  const ageMs = Date.parse(response.header('date') ?? '') - Date.parse(answer.issued_at ?? '');
  const wholeMs = (answer.expires_in ?? defaultLifetimeSeconds) * 1000;
  return ageMs > 0 ? Math.max(0, wholeMs - ageMs) : wholeMs;
}

function refusal(response: HttpResponse, service: TokenService, scopes: readonly string[]): Promise<EdgeBundleError> {
  const { status } = response;
  const isLogin = service.credentials !== undefined && scopes.length === 0;
  const isRefused = status === 401 || status === 403 || (status === 400 && service.credentials !== undefined);
  const code: ErrorCode | undefined =
    isLogin && isRefused ? 'AUTH_FAILED' : status === 404 ? 'REGISTRY_ERROR' : undefined;
  const hint = isRefused ? (isLogin ? 'Check the user name and the password.' : accessHint) : undefined;
  return responseError(response, { code, hint });
}

const accessHint = 'Check that the repository exists and that the user may use it; for a private one, log in.';
