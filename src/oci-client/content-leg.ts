import { EdgeBundleError } from '../errors.ts';
import type { ContentBody, ContentSource, Span } from './content-source.ts';
import type { ExtraConnection } from './extra-connections.ts';
import type { Attempts } from './retry-policy.ts';
import { transportError } from './transport-error.ts';

/** Who gets what a leg brings. */
export interface LegReader {
  onChunk(leg: ContentLeg, chunk: Buffer): void;
  /** All of the leg has come. */
  onEnd(leg: ContentLeg): void;
  /** The answer broke off, or is no good: the leg stands still until it is opened again. */
  onBroken(leg: ContentLeg, error: EdgeBundleError): void;
}

/** One stretch of a content, over one connection at a time: it can be opened again where it stands. */
export class ContentLeg {
  /** Chunks that came before their turn. */
  readonly held: Buffer[] = [];
  /** Undefined for a leg that has the content's own connection. */
  readonly extra: ExtraConnection | undefined;
  readonly #source: ContentSource;
  readonly #reader: LegReader;
  readonly #start: number;
  #end: number;
  #position: number;
  #openedAt = 0;
  #body: ContentBody | undefined;
  #isOpening = false;
  #isPaused = false;
  #isDestroyed = false;
  #rateTimer: NodeJS.Timeout | undefined;

  constructor(source: ContentSource, span: Span, reader: LegReader, extra?: ExtraConnection) {
    this.#source = source;
    this.#reader = reader;
    this.#start = span.start;
    this.#position = span.start;
    this.#end = span.end;
    this.extra = extra;
  }

  get position(): number {
    return this.#position;
  }

  get end(): number {
    return this.#end;
  }

  /** Up to where its answer goes; nothing comes where there is none. */
  get bodyEnd(): number {
    return this.#body?.end ?? 0;
  }

  get isDone(): boolean {
    return this.#position === this.#end && this.#body === undefined;
  }

  /** Whether nothing is under way and nothing has come. */
  get isUntouched(): boolean {
    return this.#position === this.#start && this.#body === undefined && !this.#isOpening;
  }

  get isIdle(): boolean {
    return this.#body === undefined && !this.#isOpening && !this.isDone;
  }

  /** Whether something has come since it was opened. */
  get hasProgressed(): boolean {
    return this.#position > this.#openedAt;
  }

  /** Where it is to end: not before what has come. */
  moveEnd(end: number): void {
    this.#end = end;
  }

  /**
   * Asks for what is missing.
   *
   * @param onlyRange an answer that begins elsewhere is not read
   * @throws EdgeBundleError those of `ContentSource.open`; REGISTRY_ERROR for another answer where `onlyRange`
   */
  async open(attempts: Attempts, { onlyRange = false } = {}): Promise<void> {
    this.#isOpening = true;
    try {
      const body = await this.#source.open({ start: this.#position, end: this.#end }, attempts);
      if (this.#isDestroyed) body.response.body.destroy();
      else if (onlyRange && body.start !== this.#position) {
        body.response.body.destroy();
        throw new EdgeBundleError('REGISTRY_ERROR', `${this.#source.what}: ${body.response.url.host} sent no range`);
      } else this.attach(body);
    } finally {
      this.#isOpening = false;
    }
  }

  /** Reads an answer. */
  attach(body: ContentBody): void {
    const { response, start } = body;
    this.#body = body;
    this.#openedAt = this.#position;
    let skipBytes = this.#position - start;
    if (skipBytes > 0) {
      const message = `${this.#source.what}: ${response.url.host} sends no ranges: its first ${skipBytes} bytes are read again`;
      this.#source.traffic.retries.tell(message);
    }
    response.body
      .on('data', (chunk: Buffer) => {
        if (this.#body !== body) return;
        this.#slowDown(body, chunk.byteLength);
        const skipped = Math.min(chunk.byteLength, skipBytes);
        skipBytes -= skipped;
        if (skipped < chunk.byteLength) this.#take(body, skipped === 0 ? chunk : chunk.subarray(skipped));
      })
      .on('end', () => this.#bodyEnded(body))
      .on('error', (error) => this.#bodyFailed(body, error));
    if (this.#isPaused) response.body.pause();
    else response.body.resume();
  }

  pause(): void {
    this.#isPaused = true;
    this.#body?.response.body.pause();
  }

  resume(): void {
    this.#isPaused = false;
    if (this.#rateTimer === undefined) this.#body?.response.body.resume();
  }

  destroy(): void {
    this.#isDestroyed = true;
    this.held.length = 0;
    this.extra?.release();
    this.#drop();
  }

  #take(body: ContentBody, chunk: Buffer): void {
    const missing = this.#end - this.#position;
    const wanted = chunk.byteLength > missing ? chunk.subarray(0, missing) : chunk;
    this.#position += wanted.byteLength;
    if (wanted.byteLength > 0) this.#reader.onChunk(this, wanted);
    if (this.#body !== body) return;
    if (this.#position === this.#end && body.end > this.#end) this.#finish();
    else if (chunk.byteLength > missing) {
      const expected = this.#end - this.#start;
      const message = `${this.#source.what}: expected ${expected} bytes, more came`;
      this.#broken(body, new EdgeBundleError('SIZE_MISMATCH', message));
    }
  }

  #bodyEnded(body: ContentBody): void {
    if (this.#body !== body) return;
    if (this.#position === this.#end) {
      this.#finish();
      return;
    }
    const { what, url } = body.response;
    const { receivedBytes, expectedBytes } = this.#source.progress(this.#position);
    this.#broken(
      body,
      new EdgeBundleError(
        'TRANSFER_INCOMPLETE',
        `${what}: ${url.host} ended early, ${receivedBytes} of ${expectedBytes} bytes came`,
      ),
    );
  }

  #bodyFailed(body: ContentBody, error: unknown): void {
    if (this.#body !== body) return;
    // Its last byte may come before it breaks off: where its server said that it is longer than it should be.
    if (this.#position === this.#end) this.#finish();
    else
      this.#broken(
        body,
        transportError(error, { ...this.#where(body), progress: this.#source.progress(this.#position) }),
      );
  }

  #finish(): void {
    this.#drop();
    this.extra?.disconnect();
    this.#reader.onEnd(this);
  }

  #broken(body: ContentBody, error: EdgeBundleError): void {
    if (this.#body !== body) return;
    this.#drop();
    this.#reader.onBroken(this, error);
  }

  #drop(): void {
    const body = this.#body;
    this.#body = undefined;
    clearTimeout(this.#rateTimer);
    this.#rateTimer = undefined;
    body?.response.body.destroy();
  }

  #slowDown({ response }: ContentBody, bytes: number): void {
    const waitMs = this.#source.traffic.rate?.take(bytes) ?? 0;
    if (waitMs === 0) return;
    response.body.pause();
    clearTimeout(this.#rateTimer);
    this.#rateTimer = setTimeout(() => {
      this.#rateTimer = undefined;
      if (!this.#isPaused) response.body.resume();
    }, waitMs);
  }

  #where({ response }: ContentBody): { what: string; url: URL; signal: AbortSignal | undefined } {
    return { what: response.what, url: response.url, signal: this.#source.signal };
  }
}
