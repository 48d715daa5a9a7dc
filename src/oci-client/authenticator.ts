import { EdgeBundleError, isEdgeBundleError } from '../errors.ts';
import type { OperationOptions } from '../content/store.ts';
import { abortable } from './abortable.ts';
import { type Challenge, parseChallenges } from './challenge.ts';
import { basicAuthorization, type Credentials, type CredentialSource } from './credentials.ts';
import { type Endpoint, probeUrl } from './endpoint.ts';
import type { HttpResponse } from './http-response.ts';
import { LoginBook } from './login-book.ts';
import type { Attempts } from './retry-policy.ts';
import { responseError } from './registry-error.ts';
import { mergeScopes } from './scopes.ts';
import { requestToken, type TokenService } from './token-request.ts';
import { TokenCache } from './token-cache.ts';
import type { HttpRequest, Transport } from './transport.ts';

/** What a request wants to do, and where. */
export interface AccessRequest extends OperationOptions {
  readonly endpoint: Endpoint;
  /** Of which repository; some logins are for a part of a registry only. */
  readonly repository?: string | undefined;
  /** `repository:library/nginx:pull`. Empty: only to be logged in. */
  readonly scopes: readonly string[];
  /** How often the endpoint is asked how to log in, where nobody knows yet. */
  readonly attempts?: Attempts | undefined;
}

/** How one request says who sends it. */
export interface Authorization {
  /** The Authorization header; undefined for an anonymous request. */
  readonly header: string | undefined;
  /** Whether there are credentials for the registry: the login was valid then. */
  readonly isLoggedIn: boolean;
  /** Whether the registry gave this token for this request, so that another one would be no better while it lasts. */
  readonly isFresh: boolean;
}

/** How an endpoint wants its users to log in, and the login that was found for it. */
type Session =
  | { readonly kind: 'none' }
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
  readonly #logins: LoginBook;
  readonly #sessions = new Map<Endpoint, Map<string, Promise<Session>>>();
  readonly #tokens = new TokenCache();
  /** What a registry has named as missing beside the scopes that it was asked with. */
  readonly #extraScopes = new Map<string, readonly string[]>();

  constructor(transport: Transport, credentials: CredentialSource | undefined) {
    this.#transport = transport;
    this.#logins = new LoginBook(credentials);
  }

  /**
   * The header for a request.
   *
   * @throws EdgeBundleError AUTH_FAILED where the login is refused, and those of the credentials and of the transport
   */
  async authorize(access: AccessRequest): Promise<Authorization> {
    return abortable(this.#authorize(access), access.signal);
  }

  /** Another header after a 401 to `rejected`; undefined where none would be better. */
  async renew(
    rejected: Authorization,
    response: HttpResponse,
    access: AccessRequest,
  ): Promise<Authorization | undefined> {
    const isBetter = await abortable(this.#prepareRenewal(rejected, response, access), access.signal);
    if (!isBetter) return undefined;
    const renewed = await this.authorize(access);
    return renewed.header === rejected.header ? undefined : renewed;
  }

  async #prepareRenewal(rejected: Authorization, response: HttpResponse, access: AccessRequest): Promise<boolean> {
    const { endpoint, repository, scopes } = access;
    const credentials = await this.#logins.find(endpoint.registry, repository);
    const opened = this.#sessionOf(access, credentials);
    const session = await opened;
    const challenges = parseChallenges(response.headers('www-authenticate'));
    switch (session.kind) {
      case 'none':
        // Another request may have been quicker.
        if (this.#sessionOf(access, credentials) === opened) {
          void this.#keep(endpoint, credentials, this.#enter(endpoint, challenges, credentials));
        }
        return true;
      case 'basic':
        if (rejected.header !== session.header) return true;
        return credentials !== undefined && this.#logins.refresh(endpoint.registry, repository, credentials);
      case 'bearer': {
        const key = this.#tokenKey(session.service, scopes);
        // A request may have waited longer than its token lasts, for its turn or to be sent again.
        const isStillFresh = rejected.isFresh && this.#tokens.holds(key, rejected.header);
        const isWidened = this.#widen(session.service, scopes, challenges);
        if (isStillFresh) return isWidened;
        // Without one, it was sent before another request's answer asked for a login.
        if (rejected.header !== undefined) this.#tokens.drop(key, rejected.header);
        return true;
      }
    }
  }

  async #authorize(access: AccessRequest, isRepeated = false): Promise<Authorization> {
    const { endpoint, repository, scopes } = access;
    const credentials = await this.#logins.find(endpoint.registry, repository);
    const session = await this.#sessionOf(access, credentials);
    const isLoggedIn = credentials !== undefined;
    switch (session.kind) {
      case 'none':
        return { header: undefined, isLoggedIn: false, isFresh: false };
      case 'basic':
        return { header: session.header, isLoggedIn: session.header !== undefined, isFresh: false };
      case 'bearer':
        if (!isLoggedIn && scopes.length === 0) return { header: undefined, isLoggedIn, isFresh: false };
        try {
          const { header, isFresh } = await this.#token(session.service, scopes);
          return { header, isLoggedIn, isFresh };
        } catch (error) {
          // A login that a helper program gives may have ended since.
          if (!isLoggedIn || isRepeated || !isEdgeBundleError(error, 'AUTH_FAILED', 'ACCESS_DENIED')) throw error;
          if (!(await this.#logins.refresh(endpoint.registry, repository, credentials))) throw error;
          return this.#authorize(access, true);
        }
    }
  }

  #token(service: TokenService, scopes: readonly string[]): Promise<{ header: string; isFresh: boolean }> {
    const wanted = this.#extraScopes.get(this.#tokenKey(service, scopes)) ?? mergeScopes(scopes);
    return this.#tokens.get(this.#tokenKey(service, scopes), () => requestToken(this.#transport, service, wanted));
  }

  /** Takes up what the challenge names beyond what was asked for: some registries call their repositories otherwise there. */
  #widen(service: TokenService, scopes: readonly string[], challenges: readonly Challenge[]): boolean {
    const named = challenges.find(({ scheme }) => scheme === 'bearer')?.parameters.get('scope');
    if (named === undefined || scopes.length === 0) return false;
    const key = this.#tokenKey(service, scopes);
    const before = this.#extraScopes.get(key) ?? mergeScopes(scopes);
    const wider = mergeScopes([...before, ...named.split(' ')]);
    if (wider.join(' ') === before.join(' ') || this.#extraScopes.has(key)) return false;
    this.#extraScopes.set(key, wider);
    this.#tokens.forget(key);
    return true;
  }

  /**
   * What a token is good for. Harbor's is for whole projects, with all that the user may do there, whatever repository and
   * action it was asked for; and each costs it a check of the password that is slow on purpose.
   */
  #tokenKey({ realm, service = '', credentials }: TokenService, scopes: readonly string[]): string {
    const wanted =
      service === 'harbor-registry' ? scopes.map((scope) => scope.split('/')[0] ?? scope) : mergeScopes(scopes);
    return JSON.stringify([realm.href, service, credentials, [...new Set(wanted)].sort()]);
  }

  #sessionOf(access: AccessRequest, credentials: Credentials | undefined): Promise<Session> {
    const { endpoint, attempts } = access;
    const known = this.#sessions.get(endpoint)?.get(JSON.stringify(credentials ?? null));
    return known ?? this.#keep(endpoint, credentials, this.#open(endpoint, credentials, attempts));
  }

  /** A refused login is kept too: it would be refused again. */
  #keep(endpoint: Endpoint, credentials: Credentials | undefined, opened: Promise<Session>): Promise<Session> {
    const key = JSON.stringify(credentials ?? null);
    const sessions = this.#sessions.get(endpoint) ?? new Map<string, Promise<Session>>();
    this.#sessions.set(endpoint, sessions.set(key, opened));
    opened.catch((error: unknown) => {
      if (sessions.get(key) === opened && !isEdgeBundleError(error, 'AUTH_FAILED')) sessions.delete(key);
    });
    return opened;
  }

  async #open(
    endpoint: Endpoint,
    credentials: Credentials | undefined,
    attempts: Attempts | undefined,
  ): Promise<Session> {
    const response = await this.#probe(endpoint, { attempts });
    if (response.status === 429 || response.status >= 500) throw await responseError(response);
    await response.discard();
    const challenges = response.status === 401 ? parseChallenges(response.headers('www-authenticate')) : [];
    return this.#enter(endpoint, challenges, credentials);
  }

  /** Chooses how to log in and, with credentials, does it. */
  async #enter(
    endpoint: Endpoint,
    challenges: readonly Challenge[],
    credentials: Credentials | undefined,
  ): Promise<Session> {
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
    const realm = bearer?.parameters.get('realm');
    if (bearer !== undefined && realm !== undefined) {
      if (!URL.canParse(realm)) {
        throw new EdgeBundleError(
          'REGISTRY_ERROR',
          `${endpoint.registry} names a token service that is no address: '${realm}'`,
        );
      }
      const service = { endpoint, realm: new URL(realm), service: bearer.parameters.get('service'), credentials };
      if (credentials !== undefined) await this.#token(service, []);
      return { kind: 'bearer', service };
    }
    if (!challenges.some(({ scheme }) => scheme === 'basic')) return { kind: 'none' };
    if (credentials === undefined || 'identityToken' in credentials) return { kind: 'basic', header: undefined };
    const header = basicAuthorization(credentials);
    const response = await this.#probe(endpoint, { authorization: header });
    if (response.status === 401 || response.status === 403) {
      throw await responseError(response, { code: 'AUTH_FAILED', hint: 'Check the user name and the password.' });
    }
    await response.discard();
    return { kind: 'basic', header };
  }

  #probe(endpoint: Endpoint, how: Pick<HttpRequest, 'authorization' | 'attempts'>): Promise<HttpResponse> {
    const what = `cannot ${how.authorization === undefined ? 'use' : 'log in to'} ${endpoint.registry}`;
    return this.#transport.send({ ...how, what, method: 'GET', url: probeUrl(endpoint), peer: endpoint.peer });
  }
}
