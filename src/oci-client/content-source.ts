import { setMaxListeners } from 'node:events';

import type { Descriptor } from '../content/descriptor.ts';
import { isManifest } from '../content/media-types.ts';
import { EdgeBundleError } from '../errors.ts';
import { parseContentRange } from './content-range.ts';
import type { HttpResponse } from './http-response.ts';
import type { RepositoryAccess } from './repository-access.ts';
import type { Attempts } from './retry-policy.ts';

/** One for all: a reason that is made for each content costs its stack. */
const closed = new EdgeBundleError('ABORTED', 'the content is not read any more');

/** Bytes `start` up to, but not including, `end` of a content. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** An answer, and which bytes of the content its body has. */
export interface ContentBody extends Span {
  readonly response: HttpResponse;
}

/**
 * Asks a registry for a content or a range of it, as often as it takes (OCI distribution-spec v1.1, "Pulling blobs"; RFC
 * 9110, section 14). Whether what comes in the end is the content is for its digest to say: an ETag that has changed
 * only makes the server send everything.
 */
export class ContentSource {
  readonly target: Descriptor;
  readonly #access: RepositoryAccess;
  readonly #span: Span;
  readonly #stop = new AbortController();
  readonly #unlink: () => void;
  /** A strong one (RFC 9110, section 8.8.3). */
  #etag: string | undefined;
  #hasRanges = false;

  /** @param options.span what is wanted in all */
  constructor(
    access: RepositoryAccess,
    target: Descriptor,
    { span, signal }: { readonly span: Span; readonly signal: AbortSignal | undefined },
  ) {
    this.#access = access;
    this.target = target;
    this.#span = span;
    const stop = (): void => this.#stop.abort(signal?.reason);
    signal?.addEventListener('abort', stop, { once: true });
    this.#unlink = () => signal?.removeEventListener('abort', stop);
    if (signal?.aborted === true) stop();
    // Each leg listens.
    setMaxListeners(0, this.signal);
  }

  /** Aborted with the one that was given, and by `close`. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Ends what is under way. */
  close(): void {
    this.#unlink();
    this.#stop.abort(closed);
  }

  get traffic(): RepositoryAccess['traffic'] {
    return this.#access.traffic;
  }

  /** What fails where this does: the beginning of an error's message. */
  get what(): string {
    return `cannot read ${this.target.digest} of ${this.#access.label}`;
  }

  /** How much of all that is wanted has come, where that is everything before `position`. */
  progress(position: number): { readonly receivedBytes: number; readonly expectedBytes: number } {
    const { start, end } = this.#span;
    return { receivedBytes: position - start, expectedBytes: end - start };
  }

  /** Whether the server has shown or said that it knows ranges. */
  get hasRanges(): boolean {
    return this.#hasRanges;
  }

  /**
   * An answer that has `span`, and more where the server does not know ranges.
   *
   * @throws EdgeBundleError NOT_FOUND, SIZE_MISMATCH where the registry tells another size, REGISTRY_ERROR for another
   *   range than the one that was asked for, and those of `RepositoryAccess.send`
   */
  async open(span: Span, attempts: Attempts): Promise<ContentBody> {
    const { size } = this.target;
    const isWhole = span.start === 0 && span.end === size;
    if (isWhole) return this.#whole(await this.#send({}, [200], attempts));
    const range = {
      range: `bytes=${span.start}-${span.end - 1}`,
      ...(this.#etag === undefined ? {} : { 'if-range': this.#etag }),
    };
    const response = await this.#send(range, [200, 206, 416], attempts);
    if (response.status === 200) return this.#whole(response);
    const refusal = response.status === 416 ? notSatisfiable(response) : this.#wrongRange(response, span);
    if (refusal === undefined) return this.#opened(response, span, true);
    response.body.destroy();
    // A server, or a cache before it, that gets ranges wrong may still have the whole.
    const whole = await this.#send({}, [200, 206], attempts);
    if (whole.status === 200) return this.#whole(whole);
    whole.body.destroy();
    throw refusal;
  }

  #send(
    headers: Readonly<Record<string, string>>,
    expect: readonly number[],
    attempts: Attempts,
  ): Promise<HttpResponse> {
    const { target, what, signal } = this;
    return this.#access.send({
      what,
      attempts,
      expect,
      signal,
      method: 'GET',
      path: contentPath(target),
      actions: 'pull',
      headers: { ...acceptOf(target), ...headers },
      isContent: true,
      sizeBytes: target.size,
    });
  }

  #whole(response: HttpResponse): ContentBody {
    const { contentLength, what } = response;
    const { size } = this.target;
    if (contentLength !== undefined && contentLength !== size) {
      response.body.destroy();
      throw new EdgeBundleError(
        'SIZE_MISMATCH',
        `${what}: expected ${size} bytes, ${response.url.host} says it has ${contentLength}`,
      );
    }
    return this.#opened(response, { start: 0, end: size }, response.header('accept-ranges') === 'bytes');
  }

  #opened(response: HttpResponse, span: Span, hasRanges: boolean): ContentBody {
    this.#hasRanges = hasRanges;
    const etag = response.header('etag');
    this.#etag = etag?.startsWith('"') === true ? etag : undefined;
    return { response, ...span };
  }

  /** RFC 9110, section 14.4: what comes is what Content-Range says, whatever was asked for. */
  #wrongRange(response: HttpResponse, span: Span): EdgeBundleError | undefined {
    const text = response.header('content-range') ?? '';
    const { start, last, size } = parseContentRange(text) ?? {};
    const isAsked = start === span.start && last === span.end - 1;
    if (isAsked && (size === undefined || size === this.target.size)) return undefined;
    return new EdgeBundleError(
      'REGISTRY_ERROR',
      `${response.what}: expected bytes ${span.start}-${span.end - 1}/${this.target.size}, ${response.url.host} sent '${text}'`,
    );
  }
}

/** Below the repository. */
export function contentPath(target: Descriptor): string {
  return `${isManifest(target.mediaType) ? 'manifests' : 'blobs'}/${target.digest}`;
}

/** Without it a registry may turn a manifest into another type. */
export function acceptOf(target: Descriptor): Record<string, string> {
  return isManifest(target.mediaType) ? { accept: target.mediaType } : {};
}

function notSatisfiable(response: HttpResponse): EdgeBundleError {
  const size = response.header('content-range') ?? 'no Content-Range';
  return new EdgeBundleError('REGISTRY_ERROR', `${response.what}: ${response.url.host} has no such range (${size})`);
}
