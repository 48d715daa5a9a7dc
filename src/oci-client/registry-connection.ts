import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError, isEdgeBundleError, systemErrorCode } from '../errors.ts';
import type { AccessRequest, Authenticator, Authorization } from './authenticator.ts';
import { type Capability, type Endpoint, type NamedRoute, scopeNameOn, urlOn } from './endpoint.ts';
import type { EndpointHealth } from './endpoint-health.ts';
import type { HttpResponse } from './http-response.ts';
import { digestInPath, ensureSize, watchContent } from './mirror-check.ts';
import { responseError } from './registry-error.ts';
import type { RouteFinder } from './route-finder.ts';
import type { ServedCounter } from './served.ts';
import { transientFailure } from './retry-policy.ts';
import type { Traffic } from './traffic.ts';
import type { HttpRequest, Transport } from './transport.ts';

/** Where a request goes, and who sends it. */
type Address = 'url' | 'authorization' | 'peer';
type UnaddressedRequest = Omit<HttpRequest, Address>;

export interface RegistryRequest extends UnaddressedRequest {
  /** Below the repository (`blobs/sha256:…`), or an address that the registry gave. */
  readonly path: string | URL;
  readonly actions: 'pull' | 'pull,push' | 'pull,push,delete';
  /** Another repository that is read from. */
  readonly from?: string | undefined;
  /** The statuses that the caller understands; any other one is an error. */
  readonly expect: readonly number[];
  /** Of the content that is asked for, where it is known: what a mirror has of another size is not it. */
  readonly sizeBytes?: number | undefined;
}

/** What all connections of one client have in common. */
export interface ConnectionContext {
  readonly transport: Transport;
  readonly authenticator: Authenticator;
  readonly routes: RouteFinder;
  readonly health: EndpointHealth;
  readonly served: ServedCounter;
}

/**
 * Requests to one registry, or to the mirrors that stand in for it: with a login, and with the registry's errors as
 * errors.
 */
export class RegistryConnection {
  /** In normal form, as it stands in references. */
  readonly registry: string;
  readonly #context: ConnectionContext;

  constructor(registry: string, context: ConnectionContext) {
    this.registry = registry;
    this.#context = context;
  }

  get traffic(): Traffic {
    return this.#context.transport.traffic;
  }

  /** Whether more than one host is asked for what `repository` has. */
  async hasMirrors(repository: string): Promise<boolean> {
    return (await this.#context.routes.find(this.registry, repository)).length > 1;
  }

  /**
   * The answer, with one of the expected statuses, of the first endpoint that has one: where a mirror does not have the
   * content, or fails, the next one is asked. A 401 to a token that was used before is answered with a new token, once,
   * where the body can be sent again.
   *
   * @throws EdgeBundleError NOT_FOUND, AUTH_FAILED, ACCESS_DENIED, CONTENT_TOO_LARGE, REGISTRY_UNAVAILABLE, REGISTRY_ERROR,
   *   and those of `Transport.send`
   */
  async send(repository: string, request: RegistryRequest): Promise<HttpResponse> {
    const { path } = request;
    const all = await this.#context.routes.find(this.registry, repository);
    if (path instanceof URL) return this.#follow(path, request, all);
    const capability = capabilityFor(path, request);
    const routes = all.filter(({ capabilities }) => capabilities.has(capability));
    const [first] = routes;
    if (first === undefined) {
      throw new EdgeBundleError(
        'CONFIG_INVALID',
        `${request.what}: no host that is configured for ${this.registry} may be used to ${capability}`,
        { hint: `Add "${capability}" to the capabilities of one of them.` },
      );
    }
    return routes.length === 1 || capability === 'push'
      ? this.#sendTo(first, path, request)
      : this.#sendToOne(routes, path, request);
  }

  /**
   * Whether the registry itself answers, and takes the login where there is one.
   *
   * @throws EdgeBundleError as `send` does
   */
  async ping({
    signal,
    isOneOfMany = false,
  }: OperationOptions & { isOneOfMany?: boolean | undefined } = {}): Promise<void> {
    const endpoint = this.#context.routes.upstream(this.registry);
    const attempts = isOneOfMany ? this.traffic.retries.beginOnly() : undefined;
    const access = { endpoint, scopes: [], attempts, signal };
    const what = `cannot use ${this.registry}`;
    const request = { what, method: 'GET', expect: [200, 401, 404], attempts, signal } as const;
    const response = await this.#exchange(endpoint.root, request, access);
    if (response.status === 404) {
      throw await responseError(response, {
        code: 'REGISTRY_ERROR',
        hint: 'That is no registry (OCI distribution-spec v1.1 has /v2/ there): check host and port.',
      });
    }
    const { isLoggedIn } = await this.#context.authenticator.authorize(access);
    // Without a login that is how a registry with public repositories answers.
    if (response.status === 401 && isLoggedIn) throw await responseError(response);
    await response.discard();
  }

  /** Asks one endpoint after the other, once each; and all of them again, later, where that may help. */
  async #sendToOne(routes: readonly NamedRoute[], path: string, request: RegistryRequest): Promise<HttpResponse> {
    const { health, transport } = this.#context;
    const { retries } = transport.traffic;
    const attempts = request.attempts ?? retries.begin();
    for (;;) {
      const failures = new Map<NamedRoute, EdgeBundleError>();
      const answered = new Set<string>();
      const order = health.order(routes);
      for (const [at, route] of order.entries()) {
        const address = addressOf(route);
        if (answered.has(address)) continue;
        const isLast = order.slice(at + 1).every((other) => [...answered, address].includes(addressOf(other)));
        const isFinal = isLast && (route === routes.at(-1) || [...failures.values()].every(isMissing));
        // That a mirror does not have it is no answer while others are left, or where the registry itself has failed.
        const expect = isFinal ? request.expect : request.expect.filter((status) => status !== 404);
        try {
          const response = await this.#sendTo(route, path, { ...request, expect, attempts: retries.beginOnly() });
          this.#watch(route, path, { response, request });
          return response;
        } catch (error) {
          if (!isEdgeBundleError(error, ...passedOver)) throw error;
          const hasAnswered = isEdgeBundleError(error, 'NOT_FOUND', 'ACCESS_DENIED');
          if (hasAnswered) answered.add(address);
          else this.#failed(route, error);
          failures.set(route, error);
        }
      }
      const failed = [...failures.values()].map((error) => transientFailure(error)).find((one) => one !== undefined);
      if (failed === undefined || !(await attempts.next(failed, request.signal))) throw summedUp(routes, failures);
    }
  }

  async #sendTo(route: NamedRoute, path: string, request: RegistryRequest): Promise<HttpResponse> {
    const { endpoint, repository } = route;
    const response = await this.#exchange(urlOn(route, path), request, accessTo(endpoint, repository, request));
    this.#context.served.count(route, response);
    return response;
  }

  /** An address that a registry gave: where it is another's, without the login. */
  async #follow(url: URL, request: RegistryRequest, routes: readonly NamedRoute[]): Promise<HttpResponse> {
    const route = routes.find(({ endpoint }) => endpoint.root.origin === url.origin);
    if (route === undefined) return expected(await this.#context.transport.send({ ...request, url }), request);
    const { endpoint, repository } = route;
    const response = await this.#exchange(url, request, accessTo(endpoint, repository, request));
    this.#context.served.count(route, response);
    return response;
  }

  /** Others are asked first for a while: where `error` is one that nobody else tells, that is said, and once. */
  #failed(route: NamedRoute, error?: EdgeBundleError): void {
    const { health, served, transport } = this.#context;
    const isNews = health.failed(route.endpoint);
    served.failed(route);
    if (isNews && error !== undefined) transport.traffic.retries.tell(`others are asked first: ${error.message}`);
  }

  async #exchange(
    url: URL,
    request: UnaddressedRequest & Pick<RegistryRequest, 'expect'>,
    access: AccessRequest,
  ): Promise<HttpResponse> {
    const { transport, authenticator } = this.#context;
    const { body } = request;
    const { peer, root } = access.endpoint;
    const authorization = await authenticator.authorize(access);
    const response = await transport.send(addressed(request, { url, peer, authorization: authorization.header }));
    const isOwn = response.url.origin === root.origin;
    const canRepeat = body === undefined || body instanceof Uint8Array;
    if (response.status !== 401 || !isOwn) return expected(response, request);
    const renewed = canRepeat ? await authenticator.renew(authorization, response, access) : undefined;
    if (renewed === undefined) return expected(response, request, authorization);
    await response.discard();
    const repeated = await transport.send(addressed(request, { url, peer, authorization: renewed.header }));
    return expected(repeated, request, repeated.url.origin === root.origin ? renewed : undefined);
  }

  /**
   * A body that breaks off, or is not what it should be, is asked for again: then elsewhere first.
   *
   * @throws EdgeBundleError SIZE_MISMATCH
   */
  #watch(route: NamedRoute, path: string, { response, request }: Exchange): void {
    if (request.method !== 'GET') return;
    ensureSize(response, request.sizeBytes);
    this.#context.health.answered(route.endpoint);
    const digest = digestInPath(path);
    if (digest !== undefined && response.status === 200) {
      watchContent(response, { digest, sizeBytes: request.sizeBytes }, () => this.#failed(route));
    }
    response.body.once('error', (error) => {
      // A reader that has enough ends it in this way.
      if (systemErrorCode(error) !== 'UND_ERR_ABORTED') this.#failed(route);
    });
  }
}

interface Exchange {
  readonly request: RegistryRequest;
  readonly response: HttpResponse;
}

/** What another endpoint may do better. */
const passedOver = [
  'NOT_FOUND',
  'AUTH_FAILED',
  'ACCESS_DENIED',
  'TLS_UNTRUSTED',
  'REGISTRY_UNAVAILABLE',
  'REGISTRY_ERROR',
  'TIMEOUT',
  'TRANSFER_INCOMPLETE',
  'SIZE_MISMATCH',
] as const;

/** Member by member: V8 makes a new hidden class for each object that is spread, which is only collected late. */
function addressed(request: UnaddressedRequest, { url, peer, authorization }: Pick<HttpRequest, Address>): HttpRequest {
  const { what, method, headers, body, extraAnswerMs, isRepeatable, attempts, isContent, staysAtOrigin, signal } =
    request;
  return {
    what,
    method,
    url,
    headers,
    authorization,
    peer,
    body,
    extraAnswerMs,
    isRepeatable,
    attempts,
    isContent,
    staysAtOrigin,
    signal,
  } satisfies Record<keyof HttpRequest, unknown>;
}

function capabilityFor(path: string, { actions }: RegistryRequest): Capability {
  if (actions !== 'pull') return 'push';
  return /^(blobs|manifests|referrers)\/sha(256|512):/.test(path) ? 'pull' : 'resolve';
}

function accessTo(endpoint: Endpoint, repository: string, request: RegistryRequest): AccessRequest {
  const { actions, from, attempts, signal } = request;
  const name = scopeNameOn(endpoint, repository);
  const scopes = [`repository:${name}:${actions}`, ...(from === undefined ? [] : [`repository:${from}:pull`])];
  return { endpoint, repository: name, scopes, attempts, signal };
}

function isMissing(error: EdgeBundleError): boolean {
  return error.code === 'NOT_FOUND';
}

/** Without the scheme: what has answered with TLS is not asked without. */
function addressOf({ endpoint, repository }: NamedRoute): string {
  return `${endpoint.root.href.replace(/^https?:/, '')}${repository}`;
}

/** What the registry itself says, or else the last one that was asked; with what the others say. */
function summedUp(routes: readonly NamedRoute[], failures: ReadonlyMap<NamedRoute, EdgeBundleError>): EdgeBundleError {
  const failed = routes.map((route) => failures.get(route)).filter((error) => error !== undefined);
  const main = failed.pop();
  if (main === undefined) throw new Error('an endpoint has failed, and there is no failure');
  if (failed.length === 0) return main;
  const others = failed.map(({ message }) => message);
  return new EdgeBundleError(main.code, `${main.message}; before that, of its mirrors: ${others.join('; ')}`, {
    ...(main.hint === undefined ? {} : { hint: main.hint }),
    cause: main,
  });
}

async function expected(
  response: HttpResponse,
  { expect }: Pick<RegistryRequest, 'expect'>,
  authorization?: Authorization,
): Promise<HttpResponse> {
  if (expect.includes(response.status)) return response;
  if (response.status === 401 && authorization !== undefined) throw await denied(response, authorization.isLoggedIn);
  throw await responseError(response);
}

/** A 401 is not always about the password: Harbor says it where a right or the project is missing (v2auth). */
function denied(response: HttpResponse, isLoggedIn: boolean): Promise<EdgeBundleError> {
  const challenge = response.header('www-authenticate') ?? '';
  if (challenge === '') {
    const hint = 'Harbor answers so where the project does not exist, or takes no such name of a repository.';
    return responseError(response, { code: 'ACCESS_DENIED', hint });
  }
  return isLoggedIn
    ? responseError(response, {
        code: 'ACCESS_DENIED',
        hint: 'The login is valid: the user has no right to do this there, or the repository or project does not exist.',
      })
    : responseError(response, {
        hint: "It wants a login: give credentials for this registry, or keep them with 'edge-bundle login'.",
      });
}
