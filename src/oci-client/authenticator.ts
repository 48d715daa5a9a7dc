import { EdgeBundleError, isEdgeBundleError } from '../errors.ts';
import type { OperationOptions } from '../content/store.ts';
import { abortable } from './abortable.ts';
import { type Challenge, parseChallenges } from './challenge.ts';
import { basicAuthorization, type Credentials, type CredentialSource } from './credentials.ts';
import type { HttpResponse } from './http-response.ts';
import { responseError } from './registry-error.ts';
import { requestToken, type TokenService } from './token-request.ts';
import { TokenCache } from './token-cache.ts';
import type { Transport } from './transport.ts';

/** How one request says who sends it. */
export interface Authorization {
  /** The Authorization header; undefined for an anonymous request. */
  readonly header: string | undefined;
  /** Whether there are credentials for the registry: the login was valid then. */
  readonly isLoggedIn: boolean;
  /** Whether the registry has given this token just now, so that another one would be no better. */
  readonly isFresh: boolean;
}

/** How a registry wants its users to log in, and the login that was found for it. */
type Session =
  | { readonly kind: 'none'; readonly credentials: Credentials | undefined }
  | { readonly kind: 'basic'; readonly header: string | undefined }
  | { readonly kind: 'bearer'; readonly service: TokenService };

/**
 * Logs in to registries and keeps their tokens (anonymous, Basic, Bearer: distribution-spec v1.1 leaves them to RFC 9110
 * and Docker's token specification). The first thing that is sent to a registry is one probe of `/v2/` and, with
 * credentials, one login; whoever else wants the registry waits for these. A wrong password is thus tried once: Harbor
 * locks a user for a while after each failure, and with a scope it answers a wrong password with an anonymous token.
 */
export class Authenticator {
  readonly #transport: Transport;
  readonly #credentials: CredentialSource | undefined;
  readonly #sessions = new Map<string, Promise<Session>>();
  readonly #tokens = new TokenCache();

  constructor(transport: Transport, credentials: CredentialSource | undefined) {
    this.#transport = transport;
    this.#credentials = credentials;
  }

  /**
   * The header for a request that needs `scopes` (`repository:library/nginx:pull`).
   *
   * @throws EdgeBundleError AUTH_FAILED where the login is refused, and those of the credentials and of the transport
   */
  async authorize(registry: string, scopes: readonly string[], options: OperationOptions): Promise<Authorization> {
    return abortable(this.#authorize(registry, scopes), options.signal);
  }

  /** Another header after a 401 to `rejected`; undefined where none would be better. */
  async renew(
    rejected: Authorization,
    response: HttpResponse,
    request: { readonly registry: string; readonly scopes: readonly string[] } & OperationOptions,
  ): Promise<Authorization | undefined> {
    const { registry, scopes, signal } = request;
    const opened = this.#session(registry);
    const session = await abortable(opened, signal);
    if (session.kind === 'none') {
      const challenges = parseChallenges(response.headers('www-authenticate'));
      // Another request may have been quicker.
      if (this.#sessions.get(registry) === opened) {
        void this.#keep(registry, this.#enter(registry, challenges, session.credentials));
      }
    } else if (session.kind === 'bearer' && rejected.header !== undefined && !rejected.isFresh) {
      this.#tokens.drop(tokenKey(session.service, scopes), rejected.header);
    } else {
      return undefined;
    }
    const renewed = await this.authorize(registry, scopes, { signal });
    return renewed.header === rejected.header ? undefined : renewed;
  }

  async #authorize(registry: string, scopes: readonly string[]): Promise<Authorization> {
    const session = await this.#session(registry);
    switch (session.kind) {
      case 'none':
        return { header: undefined, isLoggedIn: false, isFresh: false };
      case 'basic':
        return { header: session.header, isLoggedIn: session.header !== undefined, isFresh: false };
      case 'bearer': {
        const isLoggedIn = session.service.credentials !== undefined;
        if (!isLoggedIn && scopes.length === 0) return { header: undefined, isLoggedIn, isFresh: false };
        const { header, isFresh } = await this.#token(session.service, scopes);
        return { header, isLoggedIn, isFresh };
      }
    }
  }

  #token(service: TokenService, scopes: readonly string[]): Promise<{ header: string; isFresh: boolean }> {
    return this.#tokens.get(tokenKey(service, scopes), () => requestToken(this.#transport, service, scopes));
  }

  #session(registry: string): Promise<Session> {
    return this.#sessions.get(registry) ?? this.#keep(registry, this.#open(registry));
  }

  /** A refused login is kept too: it would be refused again. */
  #keep(registry: string, opened: Promise<Session>): Promise<Session> {
    this.#sessions.set(registry, opened);
    opened.catch((error: unknown) => {
      const isCurrent = this.#sessions.get(registry) === opened;
      if (isCurrent && !isEdgeBundleError(error, 'AUTH_FAILED')) this.#sessions.delete(registry);
    });
    return opened;
  }

  async #open(registry: string): Promise<Session> {
    const credentials = await this.#credentials?.find(registry);
    const response = await this.#probe(registry);
    if (response.status === 429 || response.status >= 500) throw await responseError(response);
    await response.discard();
    const challenges = response.status === 401 ? parseChallenges(response.headers('www-authenticate')) : [];
    return this.#enter(registry, challenges, credentials);
  }

  /** Chooses how to log in and, with credentials, does it. */
  async #enter(
    registry: string,
    challenges: readonly Challenge[],
    credentials: Credentials | undefined,
  ): Promise<Session> {
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
    const realm = bearer?.parameters.get('realm');
    if (bearer !== undefined && realm !== undefined) {
      if (!URL.canParse(realm)) {
        throw new EdgeBundleError('REGISTRY_ERROR', `${registry} names a token service that is no address: '${realm}'`);
      }
      const service = { registry, realm: new URL(realm), service: bearer.parameters.get('service'), credentials };
      if (credentials !== undefined) await this.#token(service, []);
      return { kind: 'bearer', service };
    }
    if (!challenges.some(({ scheme }) => scheme === 'basic')) return { kind: 'none', credentials };
    if (credentials === undefined || 'identityToken' in credentials) return { kind: 'basic', header: undefined };
    const header = basicAuthorization(credentials);
    const response = await this.#probe(registry, header);
    if (response.status === 401 || response.status === 403) {
      throw await responseError(response, { code: 'AUTH_FAILED', hint: 'Check the user name and the password.' });
    }
    await response.discard();
    return { kind: 'basic', header };
  }

  #probe(registry: string, authorization?: string): Promise<HttpResponse> {
    const what = `cannot ${authorization === undefined ? 'use' : 'log in to'} ${registry}`;
    const url = new URL('v2/', this.#transport.endpoint(registry));
    return this.#transport.send({ what, method: 'GET', url, authorization });
  }
}

/**
 * What a token is good for. Harbor's is for whole projects, with all that the user may do there, whatever repository and
 * action it was asked for; and each costs it a check of the password that is slow on purpose.
 */
function tokenKey({ registry, service }: TokenService, scopes: readonly string[]): string {
  const wanted = service === 'harbor-registry' ? scopes.map((scope) => scope.split('/')[0] ?? scope) : scopes;
  return [registry, ...[...new Set(wanted)].sort()].join(' ');
}
