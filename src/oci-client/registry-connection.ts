import type { OperationOptions } from '../content/store.ts';
import type { EdgeBundleError } from '../errors.ts';
import type { Authenticator, Authorization } from './authenticator.ts';
import type { HttpResponse } from './http-response.ts';
import { responseError } from './registry-error.ts';
import type { HttpRequest, Transport } from './transport.ts';

export interface RegistryRequest extends Omit<HttpRequest, 'authorization'> {
  /** What the request needs to be allowed, as a token names it. Empty: only to be logged in. */
  readonly scopes: readonly string[];
  /** The statuses that the caller understands; any other one is an error. */
  readonly expect: readonly number[];
}

/** Requests to one registry: with a login, and with the registry's errors as errors. */
export class RegistryConnection {
  /** In normal form, as it stands in references. */
  readonly registry: string;
  readonly endpoint: URL;
  readonly #transport: Transport;
  readonly #authenticator: Authenticator;

  constructor(registry: string, transport: Transport, authenticator: Authenticator) {
    this.registry = registry;
    this.endpoint = transport.endpoint(registry);
    this.#transport = transport;
    this.#authenticator = authenticator;
  }

  /**
   * The answer, with one of the expected statuses. A 401 to a token that was used before is answered with a new token,
   * once, where the body can be sent again.
   *
   * @throws EdgeBundleError NOT_FOUND, AUTH_FAILED, ACCESS_DENIED, CONTENT_TOO_LARGE, REGISTRY_UNAVAILABLE, REGISTRY_ERROR,
   *   and those of `Transport.send`
   */
  async send(request: RegistryRequest): Promise<HttpResponse> {
    const { registry } = this;
    const { scopes, signal, body } = request;
    if (!this.#isOwn(request.url)) return this.#expected(await this.#transport.send(request), request);
    const authorization = await this.#authenticator.authorize(registry, scopes, { signal });
    const response = await this.#transport.send({ ...request, authorization: authorization.header });
    const canRepeat = body === undefined || body instanceof Uint8Array;
    if (response.status !== 401 || !this.#isOwn(response.url) || !canRepeat) {
      return this.#expected(response, request, authorization);
    }
    const renewed = await this.#authenticator.renew(authorization, response, { registry, scopes, signal });
    if (renewed === undefined) return this.#expected(response, request, authorization);
    await response.discard();
    const repeated = await this.#transport.send({ ...request, authorization: renewed.header });
    return this.#expected(repeated, request, renewed);
  }

  /**
   * Whether a registry answers, and takes the login where there is one.
   *
   * @throws EdgeBundleError as `send` does
   */
  async ping(options: OperationOptions = {}): Promise<void> {
    const what = `cannot use ${this.registry}`;
    const url = new URL('v2/', this.endpoint);
    const expect = [200, 401, 404];
    const response = await this.send({ what, method: 'GET', url, scopes: [], expect, signal: options.signal });
    if (response.status === 404) {
      throw await responseError(response, {
        code: 'REGISTRY_ERROR',
        hint: 'That is no registry (OCI distribution-spec v1.1 has /v2/ there): check host and port.',
      });
    }
    const { isLoggedIn } = await this.#authenticator.authorize(this.registry, [], options);
    // Without a login that is how a registry with public repositories answers.
    if (response.status === 401 && isLoggedIn) throw await responseError(response);
    await response.discard();
  }

  #isOwn(url: URL): boolean {
    return url.origin === this.endpoint.origin;
  }

  async #expected(
    response: HttpResponse,
    request: RegistryRequest,
    authorization?: Authorization,
  ): Promise<HttpResponse> {
    if (request.expect.includes(response.status)) return response;
    if (response.status === 401 && authorization !== undefined && this.#isOwn(response.url)) {
      throw await this.#denied(response, authorization.isLoggedIn);
    }
    throw await responseError(response);
  }

  /** A 401 is not always about the password: Harbor says it where a right or the project is missing (v2auth). */
  #denied(response: HttpResponse, isLoggedIn: boolean): Promise<EdgeBundleError> {
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
      : responseError(response, { hint: 'It wants a login: give credentials for this registry.' });
  }
}
