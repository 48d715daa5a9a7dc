import { STATUS_CODES } from 'node:http';
import type { Readable } from 'node:stream';

import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError, throwIfAborted } from '../errors.ts';
import { abortable } from './abortable.ts';
import { Dispatchers, isHostOf, type Peer } from './dispatchers.ts';
import type { HostAddress } from './host-addresses.ts';
import type { HostUse } from './host-limits.ts';
import { HttpResponse } from './http-response.ts';
import type { Proxies } from './proxies.ts';
import { dockerHub, parseRegistry } from './reference.ts';
import { retryAfterMs } from './retry-after.ts';
import { type Attempts, type FailedAttempt, transientFailure } from './retry-policy.ts';
import { Traffic, type TrafficOptions } from './traffic.ts';
import { transportError } from './transport-error.ts';

export interface TransportOptions extends TrafficOptions {
  /** Which registries are spoken to in plain HTTP; all others have TLS. Hosts, with or without a port. Default: none. */
  readonly plainHttp?: 'all' | readonly string[] | undefined;
  /** Certificates are not checked. Default: false. */
  readonly insecure?: boolean | undefined;
  /** Certificates in PEM whose signatures are trusted too, besides those that Node.js knows. */
  readonly ca?: string | undefined;
  /** Which requests go through a proxy. Default: none. */
  readonly proxies?: Proxies | undefined;
  /** Where hosts are reached whose names nobody knows, without a proxy. Default: what the name service says. */
  readonly addresses?: readonly HostAddress[] | undefined;
  /** How long a connection may take to come about. Default: 10,000. */
  readonly connectTimeoutMs?: number | undefined;
  /** How long an answer may take to begin, and a sent byte to be taken. Default: 60,000. */
  readonly headersTimeoutMs?: number | undefined;
  /** How long an answer may pause. Default: 60,000. */
  readonly bodyTimeoutMs?: number | undefined;
}

export interface HttpRequest extends OperationOptions {
  /** What fails where the request does: the beginning of the error's message. */
  readonly what: string;
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** The Authorization header: for the origin of `url`, and never for another that this one redirects to. */
  readonly authorization?: string | undefined;
  /** What is different for the host of `url`, besides the options that count for all. */
  readonly peer?: Peer | undefined;
  /** A stream needs a Content-Length among the headers. */
  readonly body?: Uint8Array | Readable | undefined;
  /** How much longer than usual the answer may take to begin. Default: 0. */
  readonly extraAnswerMs?: number | undefined;
  /** Sending it twice does no harm. Default: true for GET, HEAD, and a PUT whose body is at hand. */
  readonly isRepeatable?: boolean | undefined;
  /** Where the request is a part of something larger that is tried again: its attempts. */
  readonly attempts?: Attempts | undefined;
  /** The answer is content, which is read as fast as its reader takes it. Default: false. */
  readonly isContent?: boolean | undefined;
  /** A redirect to another origin is not followed, but is the answer: its headers are for nobody else. Default: false. */
  readonly staysAtOrigin?: boolean | undefined;
}

const maxRedirects = 5;
const redirects: ReadonlySet<number> = new Set([301, 302, 307, 308]);
const highWaterMark = 256 * 1024;

/** What may be over the next time. 500 too, where asking again changes nothing: registries pass on what a storage fails with. */
const transientStatuses: ReadonlySet<number> = new Set([408, 425, 429, 502, 503, 504]);

/** Sends HTTP requests: TLS, timeouts, redirects, retries, limits. Knows nothing of logins and keeps no cookies. */
export class Transport {
  readonly traffic: Traffic;
  readonly #dispatchers: Dispatchers;
  readonly #plainHttp: 'all' | ReadonlySet<string>;
  readonly #headersTimeoutMs: number;

  /** @throws EdgeBundleError CONFIG_INVALID where `ca` holds no certificate, REFERENCE_INVALID for a bad host */
  constructor(options: TransportOptions = {}) {
    const { plainHttp = [], insecure = false, ca, proxies, addresses = [], connectTimeoutMs = 10_000 } = options;
    const { headersTimeoutMs = 60_000, bodyTimeoutMs = 60_000 } = options;
    this.traffic = new Traffic(options);
    this.#plainHttp = plainHttp === 'all' ? 'all' : new Set(plainHttp.map((host) => parseRegistry(host)));
    this.#headersTimeoutMs = headersTimeoutMs;
    this.#dispatchers = new Dispatchers({
      ...{ insecure, ca, proxies, addresses, connectTimeoutMs, headersTimeoutMs, bodyTimeoutMs },
    });
  }

  /** The root of a registry's URLs: `https://ghcr.io/`. `registry` is in normal form. */
  endpoint(registry: string): URL {
    const host = registry === dockerHub ? 'registry-1.docker.io' : registry;
    return new URL(`${this.#isPlain(registry) ? 'http' : 'https'}://${host}/`);
  }

  /**
   * The answer, whatever its status. Redirects are followed (301, 302, 307, 308, at most 5): of GET and HEAD to any
   * origin, of other methods only within their origin and by 307 and 308; never from HTTPS to HTTP. What fails for the
   * moment is tried again, from the first of its addresses, where the request can be repeated: see docs/downloads.md.
   *
   * @throws EdgeBundleError REGISTRY_UNAVAILABLE, TIMEOUT, TLS_UNTRUSTED, REGISTRY_ERROR, ABORTED
   */
  async send(request: HttpRequest): Promise<HttpResponse> {
    if (!isRepeatable(request)) return this.#send(request);
    const { signal } = request;
    const attempts = request.attempts ?? this.traffic.retries.begin();
    for (;;) {
      let response: HttpResponse;
      try {
        response = await this.#send(request);
      } catch (error) {
        const failed = transientFailure(error);
        if (failed === undefined || !(await attempts.next(failed, signal))) throw error;
        continue;
      }
      const failed = failedAnswer(response, request);
      const delayMs = failed && attempts.begin(failed);
      if (delayMs === undefined) return response;
      void response.discard();
      await attempts.wait(delayMs, signal);
    }
  }

  async #send(request: HttpRequest): Promise<HttpResponse> {
    let { url, authorization } = request;
    this.#ensureAllowed(url, request);
    for (let followed = 0; ; followed += 1) {
      const response = await this.#exchange(request, url, authorization);
      const next = redirectTarget(response, request);
      if (next === undefined) return response;
      await response.discard();
      if (followed === maxRedirects) throw failure(request, `${url.host} redirects more than ${maxRedirects} times`);
      this.#ensureAllowed(next, request, url);
      if (next.origin !== url.origin) authorization = undefined;
      url = next;
    }
  }

  /** Ends all connections, used ones too. */
  async close(): Promise<void> {
    this.traffic.close();
    await this.#dispatchers.close();
  }

  async #exchange(request: HttpRequest, url: URL, authorization: string | undefined): Promise<HttpResponse> {
    const { what, method, headers, peer, body, extraAnswerMs = 0, signal } = request;
    throwIfAborted(signal);
    const host = this.traffic.hosts.of(url.host);
    const leave = await host.enter(hostUse(request), signal);
    const sentMs = performance.now();
    try {
      // A connection that is still being made does not listen to the signal.
      const response = await abortable(
        this.#dispatchers.find(url, peer).request({
          origin: url.origin,
          path: `${url.pathname}${url.search}`,
          method,
          headers: Object.assign(
            // Digests and sizes are those of the bytes as they are stored.
            { 'user-agent': 'edge-bundle', 'accept-encoding': 'identity' },
            peer?.origin === url.origin ? peer.headers : undefined,
            headers,
            authorization === undefined ? undefined : { authorization },
          ),
          headersTimeout: this.#headersTimeoutMs + extraAnswerMs,
          body: body ?? null,
          signal: signal ?? null,
          highWaterMark,
        }),
        signal,
      );
      const { statusCode: status, headers: responseHeaders, body: content } = response;
      const answer = new HttpResponse({ what, url, status, headers: responseHeaders, body: content, signal });
      if (status === 429 || (status === 503 && retryAfterMs(answer) !== undefined)) {
        host.throttled(sentMs, retryAfterMs(answer));
      } else if (status < 400) {
        host.succeeded();
      }
      if (request.isContent === true) content.once('close', leave);
      else leave();
      return answer;
    } catch (error) {
      leave();
      throw transportError(error, { what, url, signal, proxy: this.#dispatchers.proxyOf(url) });
    }
  }

  #isPlain(host: string): boolean {
    if (this.#plainHttp === 'all') return true;
    const name = host.replace(/:[0-9]+$/, '');
    return (
      this.#plainHttp.has(host) || this.#plainHttp.has(name) || (host === name && this.#plainHttp.has(`${name}:80`))
    );
  }

  /** What the registry names (a redirect, a token server, an upload's place) is plain HTTP only where the user said so. */
  #ensureAllowed(url: URL, request: HttpRequest, from?: URL): void {
    if (url.protocol === 'https:') return;
    if (url.protocol !== 'http:') throw failure(request, `it leads to '${url.protocol}', which is not HTTP`);
    if (from?.protocol === 'https:')
      throw failure(request, `${from.host} redirects from HTTPS to HTTP at ${url.host}`, proxyHint);
    if (this.#isPlain(url.host) || (isHostOf(request.peer, url) && request.peer?.origin.startsWith('http:'))) return;
    throw failure(
      request,
      `it leads to ${url.host} in plain HTTP`,
      `${proxyHint} Or allow it: --plain-http=${url.host}.`,
    );
  }
}

const proxyHint =
  'A registry behind a proxy that ends TLS must know its own address (in Harbor: external_url) or get X-Forwarded-Proto.';

function failure(request: HttpRequest, reason: string, hint?: string): EdgeBundleError {
  return new EdgeBundleError('REGISTRY_ERROR', `${request.what}: ${reason}`, hint === undefined ? {} : { hint });
}

function hostUse({ isContent = false, body }: HttpRequest): HostUse {
  if (body !== undefined && !(body instanceof Uint8Array)) return 'none';
  return isContent ? 'content' : 'answer';
}

function isRepeatable({ method, body, isRepeatable: isAllowed }: HttpRequest): boolean {
  return isAllowed ?? (method === 'GET' || method === 'HEAD' || (method === 'PUT' && body instanceof Uint8Array));
}

function failedAnswer(response: HttpResponse, { method }: HttpRequest): FailedAttempt | undefined {
  const { what, url, status } = response;
  const isSafe = method === 'GET' || method === 'HEAD';
  if (!transientStatuses.has(status) && !(status === 500 && isSafe)) return undefined;
  const message = `${what}: ${url.host} answered ${status} ${STATUS_CODES[status] ?? ''}`.trimEnd();
  return { message, retryAfterMs: retryAfterMs(response) };
}

function redirectTarget(response: HttpResponse, request: HttpRequest): URL | undefined {
  const { status, url } = response;
  const location = response.header('location');
  if (!redirects.has(status) || location === undefined) return undefined;
  const next = URL.canParse(location, url.href) ? new URL(location, url) : undefined;
  if (next === undefined) throw failure(request, `${url.host} redirects to what is no address`);
  if (request.staysAtOrigin === true && next.origin !== url.origin) return undefined;
  if (request.method === 'GET' || request.method === 'HEAD') return next;
  const canRepeat = request.body === undefined || request.body instanceof Uint8Array;
  return (status === 307 || status === 308) && next.origin === url.origin && canRepeat ? next : undefined;
}
