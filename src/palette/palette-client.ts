import type * as z from 'zod';

import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError, isEdgeBundleError } from '../errors.ts';
import type { HttpResponse } from '../oci-client/http-response.ts';
import { parseRegistry } from '../oci-client/reference.ts';
import { transientFailure } from '../oci-client/retry-policy.ts';
import { Transport, type TransportOptions } from '../oci-client/transport.ts';
import { registerSecret } from '../redaction.ts';
import { type PaletteAnswer, readAnswer } from './palette-answer.ts';

export interface PaletteClientOptions extends TransportOptions {
  /** The address of Palette's console: `https://api.spectrocloud.com`. Plain HTTP only where `plainHttp` allows its host. */
  readonly endpoint: string;
  readonly apiKey: string;
}

export interface PaletteRequest extends OperationOptions {
  /** What fails where the request does: the beginning of the error's message. */
  readonly what: string;
  /** Of the path after `/v1`; each is encoded. */
  readonly path: readonly string[];
  readonly query?: Readonly<Record<string, string>> | undefined;
  /** Is sent as JSON, by POST. Palette searches by POST: nothing is changed by it. */
  readonly body?: unknown;
  readonly projectUid?: string | undefined;
}

const maxAnswerBytes = 32 * 1024 * 1024;

/** Reads Palette's API, version 1. The key goes to no other host. */
export class PaletteClient {
  readonly endpoint: URL;
  readonly #transport: Transport;
  readonly #apiKey: string;

  /** @throws EdgeBundleError CONFIG_INVALID for a bad address, or plain HTTP; CREDENTIALS_INVALID for a key that is none */
  constructor(options: PaletteClientOptions) {
    registerSecret(options.apiKey);
    this.#apiKey = checkKey(options.apiKey);
    this.endpoint = parseEndpoint(options.endpoint);
    this.#transport = new Transport(options);
    if (this.endpoint.protocol === 'http:') this.#ensurePlainAllowed();
  }

  /**
   * The JSON of a good answer.
   *
   * @throws EdgeBundleError PALETTE_ERROR, REGISTRY_UNAVAILABLE, TIMEOUT, TLS_UNTRUSTED, ABORTED
   */
  async read<T>(request: PaletteRequest, schema: z.ZodType<T>): Promise<T> {
    return readAnswer(await this.ask(request), schema);
  }

  /**
   * The whole answer, whatever its status. What fails for the moment (429, 5xx, a lost connection) is tried again.
   *
   * @throws EdgeBundleError PALETTE_ERROR, REGISTRY_UNAVAILABLE, TIMEOUT, TLS_UNTRUSTED, ABORTED
   */
  async ask(request: PaletteRequest): Promise<PaletteAnswer> {
    const { what, signal, body, projectUid } = request;
    const url = this.#url(request);
    const attempts = this.#transport.traffic.retries.begin();
    for (;;) {
      try {
        const response = await this.#transport.send({
          what,
          method: body === undefined ? 'GET' : 'POST',
          url,
          headers: {
            accept: 'application/json',
            apikey: this.#apiKey,
            ...(projectUid === undefined ? {} : { projectuid: projectUid }),
            ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          },
          body: body === undefined ? undefined : Buffer.from(JSON.stringify(body)),
          isRepeatable: true,
          staysAtOrigin: true,
          attempts,
          signal,
        });
        return await readWhole(response);
      } catch (error) {
        const failed = transientFailure(error);
        if (failed === undefined) throw paletteError(error);
        if (!(await attempts.next(failed, signal))) throw error;
      }
    }
  }

  async close(): Promise<void> {
    await this.#transport.close();
  }

  #url({ what, path, query = {} }: PaletteRequest): URL {
    if (path.some((part) => /^\.{0,2}$/.test(part))) {
      throw new EdgeBundleError('PALETTE_ERROR', `${what}: a part of '${path.join('/')}' is no name`);
    }
    const url = new URL(`v1/${path.map(encodeURIComponent).join('/')}`, this.endpoint);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    return url;
  }

  #ensurePlainAllowed(): void {
    const { host } = this.endpoint;
    if (this.#transport.endpoint(parseRegistry(host)).protocol === 'http:') return;
    throw new EdgeBundleError('CONFIG_INVALID', `Palette at ${host}: the API key would be sent in plain HTTP`, {
      hint: `Use https://, or allow it: --plain-http=${host}.`,
    });
  }
}

async function readWhole(response: HttpResponse): Promise<PaletteAnswer> {
  const { what, url, status } = response;
  const location = response.header('location');
  if (status >= 300 && status < 400 && location !== undefined) {
    response.body.destroy();
    const target = URL.canParse(location, url.href) ? new URL(location, url).host : 'what is no address';
    throw new EdgeBundleError('PALETTE_ERROR', `${what}: ${url.host} redirects to ${target}`, {
      hint: 'The API key is sent to the given host only. If that is the right one, name it with --palette-endpoint.',
    });
  }
  const bytes = await response.read(maxAnswerBytes + 1);
  if (bytes.byteLength > maxAnswerBytes) {
    const reason = `the answer of ${url.host} has more than ${maxAnswerBytes} bytes`;
    throw new EdgeBundleError('PALETTE_ERROR', `${what}: ${reason}`);
  }
  return { what, host: url.host, status, text: bytes.toString('utf8') };
}

/** What goes wrong in the way that a registry's connection does keeps its code; the rest is Palette's. */
function paletteError(error: unknown): unknown {
  if (!isEdgeBundleError(error, 'REGISTRY_ERROR')) return error;
  const hint = error.hint === undefined ? {} : { hint: error.hint };
  return new EdgeBundleError('PALETTE_ERROR', error.message, { ...hint, cause: error });
}

function parseEndpoint(text: string): URL {
  const invalid = (reason: string, cause?: unknown): EdgeBundleError =>
    new EdgeBundleError('CONFIG_INVALID', `the address of Palette ${reason}`, {
      hint: 'It is that of the console, for instance https://api.spectrocloud.com.',
      cause,
    });
  let url: URL;
  try {
    url = new URL(/^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `https://${text}`);
  } catch (cause) {
    throw invalid(`is no URL: '${text}'`, cause);
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw invalid(`is no HTTPS URL: '${text}'`);
  if (url.username !== '' || url.password !== '') throw invalid('holds a login');
  if (url.search !== '' || url.hash !== '') throw invalid(`holds more than a host and a path: '${text}'`);
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}

/** RFC 9110, section 5.5: what a header may hold. The reason does not show the key. */
function checkKey(key: string): string {
  if (/^[\x21-\x7e]+$/.test(key)) return key;
  throw new EdgeBundleError(
    'CREDENTIALS_INVALID',
    "Palette's API key is empty, or holds spaces, line ends or the like",
    {
      hint: "Its file holds the key and nothing else; 'User menu, My API Keys' in Palette makes one.",
    },
  );
}
