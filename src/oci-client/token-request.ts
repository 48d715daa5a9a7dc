import { z } from 'zod';

import { EdgeBundleError, type ErrorCode } from '../errors.ts';
import { registerSecret } from '../redaction.ts';
import { basicAuthorization, type Credentials, type PasswordCredentials } from './credentials.ts';
import type { HttpResponse } from './http-response.ts';
import { responseError } from './registry-error.ts';
import type { Token } from './token-cache.ts';
import type { Transport } from './transport.ts';

/** Where tokens for a registry come from, and who asks. */
export interface TokenService {
  readonly registry: string;
  readonly realm: URL;
  readonly service: string | undefined;
  readonly credentials: Credentials | undefined;
}

const maxAnswerBytes = 1024 * 1024;
const defaultLifetimeSeconds = 60;
const clientId = 'edge-bundle';

const answerSchema = z.object({
  token: z.string().optional(),
  access_token: z.string().optional(),
  expires_in: z.number().positive().optional().catch(undefined),
});

/**
 * Asks for a token by Docker's registry token specification: GET, with the user's name and password as basic
 * authentication; or the OAuth2 POST where there is an identity token.
 *
 * @throws EdgeBundleError AUTH_FAILED, ACCESS_DENIED, and those of `Transport.send`
 */
export async function requestToken(
  transport: Transport,
  service: TokenService,
  scopes: readonly string[],
): Promise<Token> {
  const { credentials } = service;
  const response =
    credentials !== undefined && 'identityToken' in credentials
      ? await postRefreshToken(transport, service, { scopes, refreshToken: credentials.identityToken })
      : await getToken(transport, service, { scopes, login: credentials });
  if (response.status !== 200) throw await refusal(response, service, scopes);
  const answer = await readAnswer(response);
  const token = answer.token === undefined || answer.token === '' ? answer.access_token : answer.token;
  if (token === undefined || token === '') {
    throw new EdgeBundleError('AUTH_FAILED', `${response.what}: ${service.realm.host} answered without a token`);
  }
  registerSecret(token);
  return { header: `Bearer ${token}`, lifetimeMs: (answer.expires_in ?? defaultLifetimeSeconds) * 1000 };
}

interface PasswordLogin {
  readonly scopes: readonly string[];
  readonly login: PasswordCredentials | undefined;
}

function getToken(
  transport: Transport,
  service: TokenService,
  { scopes, login }: PasswordLogin,
): Promise<HttpResponse> {
  const url = new URL(service.realm);
  if (service.service !== undefined) url.searchParams.append('service', service.service);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  if (login !== undefined) url.searchParams.append('account', login.username);
  const authorization = login === undefined ? undefined : basicAuthorization(login);
  return transport.send({ what: described(service), method: 'GET', url, authorization });
}

interface RefreshTokenLogin {
  readonly scopes: readonly string[];
  readonly refreshToken: string;
}

function postRefreshToken(
  transport: Transport,
  service: TokenService,
  login: RefreshTokenLogin,
): Promise<HttpResponse> {
  const form = new URLSearchParams({
    grant_type: 'refresh_token',
    client_id: clientId,
    refresh_token: login.refreshToken,
    ...(service.service === undefined ? {} : { service: service.service }),
    ...(login.scopes.length === 0 ? {} : { scope: login.scopes.join(' ') }),
  });
  return transport.send({
    what: described(service),
    method: 'POST',
    url: service.realm,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: Buffer.from(form.toString()),
  });
}

function described(service: TokenService): string {
  const purpose = service.credentials === undefined ? 'get an anonymous token for' : 'log in to';
  return `cannot ${purpose} ${service.registry}`;
}

async function readAnswer(response: HttpResponse): Promise<z.infer<typeof answerSchema>> {
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
