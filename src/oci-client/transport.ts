import { X509Certificate } from 'node:crypto';
import type { Readable } from 'node:stream';
import { createSecureContext, rootCertificates } from 'node:tls';

import { Agent } from 'undici';

import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError, throwIfAborted } from '../errors.ts';
import { abortable } from './abortable.ts';
import { HttpResponse } from './http-response.ts';
import { dockerHub, parseRegistry } from './reference.ts';
import { transportError } from './transport-error.ts';

export interface TransportOptions {
  /** Which registries are spoken to in plain HTTP; all others have TLS. Hosts, with or without a port. Default: none. */
  readonly plainHttp?: 'all' | readonly string[] | undefined;
  /** Certificates are not checked. Default: false. */
  readonly insecure?: boolean | undefined;
  /** Certificates in PEM whose signatures are trusted too, besides those that Node.js knows. */
  readonly ca?: string | undefined;
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
  /** A stream needs a Content-Length among the headers. */
  readonly body?: Uint8Array | Readable | undefined;
  /** How much longer than usual the answer may take to begin. Default: 0. */
  readonly extraAnswerMs?: number | undefined;
}

const maxRedirects = 5;
const redirects: ReadonlySet<number> = new Set([301, 302, 307, 308]);
const highWaterMark = 256 * 1024;

/** Sends HTTP requests: TLS, timeouts, redirects. Knows nothing of logins and keeps no cookies. */
export class Transport {
  readonly #agent: Agent;
  readonly #plainHttp: 'all' | ReadonlySet<string>;
  readonly #headersTimeoutMs: number;

  /** @throws EdgeBundleError CONFIG_INVALID where `ca` holds no certificate, REFERENCE_INVALID for a bad host */
  constructor(options: TransportOptions = {}) {
    const { plainHttp = [], insecure = false, ca, connectTimeoutMs = 10_000 } = options;
    const { headersTimeoutMs = 60_000, bodyTimeoutMs = 60_000 } = options;
    this.#plainHttp = plainHttp === 'all' ? 'all' : new Set(plainHttp.map((host) => parseRegistry(host)));
    this.#headersTimeoutMs = headersTimeoutMs;
    this.#agent = new Agent({
      connect: {
        timeout: connectTimeoutMs,
        rejectUnauthorized: !insecure,
        // Made once: with `ca` alone each connection would read all of the system's certificates again.
        ...(ca === undefined ? {} : { secureContext: trusting(ca) }),
      },
      headersTimeout: headersTimeoutMs,
      bodyTimeout: bodyTimeoutMs,
    });
  }

  /** The root of a registry's URLs: `https://ghcr.io/`. `registry` is in normal form. */
  endpoint(registry: string): URL {
    const host = registry === dockerHub ? 'registry-1.docker.io' : registry;
    return new URL(`${this.#isPlain(registry) ? 'http' : 'https'}://${host}/`);
  }

  /**
   * The answer, whatever its status. Redirects are followed (301, 302, 307, 308, at most 5): of GET and HEAD to any
   * origin, of other methods only within their origin and by 307 and 308; never from HTTPS to HTTP.
   *
   * @throws EdgeBundleError REGISTRY_UNAVAILABLE, TIMEOUT, TLS_UNTRUSTED, REGISTRY_ERROR, ABORTED
   */
  async send(request: HttpRequest): Promise<HttpResponse> {
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
    await this.#agent.destroy();
  }

  async #exchange(request: HttpRequest, url: URL, authorization: string | undefined): Promise<HttpResponse> {
    const { what, method, headers, body, extraAnswerMs = 0, signal } = request;
    throwIfAborted(signal);
    try {
      // A connection that is still being made does not listen to the signal.
      const response = await abortable(
        this.#agent.request({
          origin: url.origin,
          path: `${url.pathname}${url.search}`,
          method,
          headers: {
            'user-agent': 'edge-bundle',
            // Digests and sizes are those of the bytes as they are stored.
            'accept-encoding': 'identity',
            ...headers,
            ...(authorization === undefined ? {} : { authorization }),
          },
          headersTimeout: this.#headersTimeoutMs + extraAnswerMs,
          body: body ?? null,
          signal: signal ?? null,
          highWaterMark,
        }),
        signal,
      );
      const { statusCode: status, headers: responseHeaders, body: content } = response;
      return new HttpResponse({ what, url, status, headers: responseHeaders, body: content, signal });
    } catch (error) {
      throw transportError(error, { what, url, signal });
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
    if (this.#isPlain(url.host)) return;
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

function redirectTarget(response: HttpResponse, request: HttpRequest): URL | undefined {
  const { status, url } = response;
  const location = response.header('location');
  if (!redirects.has(status) || location === undefined) return undefined;
  const next = URL.canParse(location, url.href) ? new URL(location, url) : undefined;
  if (next === undefined) throw failure(request, `${url.host} redirects to what is no address`);
  if (request.method === 'GET' || request.method === 'HEAD') return next;
  const canRepeat = request.body === undefined || request.body instanceof Uint8Array;
  return (status === 307 || status === 308) && next.origin === url.origin && canRepeat ? next : undefined;
}

function trusting(ca: string): ReturnType<typeof createSecureContext> {
  const certificates = ca.match(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs) ?? [];
  try {
    for (const certificate of certificates) new X509Certificate(certificate);
  } catch (cause) {
    throw new EdgeBundleError('CONFIG_INVALID', 'the CA certificate cannot be read', { cause });
  }
  if (certificates.length === 0) {
    throw new EdgeBundleError('CONFIG_INVALID', 'the CA certificate holds no certificate in PEM', {
      hint: "It is a text with '-----BEGIN CERTIFICATE-----' in it; 'openssl x509 -inform der' makes one from DER.",
    });
  }
  return createSecureContext({ ca: [...rootCertificates, ...certificates] });
}
