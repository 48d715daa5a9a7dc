import { Readable } from 'node:stream';

import type { EdgeBundleError } from '../errors.ts';
import { ContentLeg, type LegReader } from './content-leg.ts';
import type { ContentBody, ContentSource, Span } from './content-source.ts';
import { type ExtraConnection, pieceBytes } from './extra-connections.ts';
import type { HostLimit } from './host-limits.ts';
import { type Attempts, transientFailure } from './retry-policy.ts';
import type { Traffic } from './traffic.ts';

/** In chunks of up to 64 KiB, as they come from a socket. */
const highWaterMark = 4;

/**
 * A range of a content, in order. It ends after exactly that many bytes or fails: SIZE_MISMATCH where the body is
 * longer, ABORTED, and, once nothing has come for as many attempts as there may be, TRANSFER_INCOMPLETE where the body
 * ended or broke off early, TIMEOUT where it stalled, or what its server answered then.
 *
 * The range is read in legs, the first of which is passed on as it comes. Mostly there is only that one. Where the reader
 * could take more, others fetch pieces ahead of it and hold them until it is their turn.
 */
export class ContentStream extends Readable implements LegReader {
  readonly #source: ContentSource;
  readonly #traffic: Traffic;
  readonly #host: HostLimit;
  readonly #end: number;
  readonly #isLarge: boolean;
  readonly #attempts: Attempts;
  readonly #legs: ContentLeg[];
  #isFull = true;
  #isBackingOff = false;

  /** @param attempts those that `body` came with */
  constructor(source: ContentSource, span: Span, body: ContentBody, attempts: Attempts) {
    // In object mode chunks stay as they are: a byte stream would join those that wait, and copy them all.
    super({ objectMode: true, highWaterMark });
    this.#source = source;
    this.#traffic = source.traffic;
    this.#host = this.#traffic.hosts.of(body.response.url.host);
    this.#end = span.end;
    this.#isLarge = span.end - span.start > this.#traffic.parallelOverBytes;
    this.#attempts = attempts;
    // It may fail before somebody reads it; whoever reads it then gets the error.
    this.on('error', () => undefined);
    const first = new ContentLeg(source, span, this);
    this.#legs = [first];
    first.pause();
    first.attach(body);
  }

  override _read(): void {
    this.#isFull = false;
    this.#pass();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    for (const leg of this.#legs) leg.destroy();
    this.#source.close();
    callback(error);
  }

  onChunk(leg: ContentLeg, chunk: Buffer): void {
    this.#traffic.extraConnections.received(chunk.byteLength);
    this.#attempts.progressed();
    if (leg === this.#legs[0] && !this.#isFull) this.#push(leg, chunk);
    else leg.held.push(chunk);
    if (this.#isLarge && !this.#isFull) this.#spread();
  }

  onEnd(leg: ContentLeg): void {
    if (leg === this.#legs[0]) this.#pass();
  }

  onBroken(leg: ContentLeg, error: EdgeBundleError): void {
    if (leg === this.#legs[0]) void this.#goOn(error);
    else if (leg.hasProgressed && transientFailure(error) !== undefined) void this.#openAhead(leg);
    else this.#giveUpAhead(leg);
  }

  /** False where the reader takes no more for now. */
  #push(front: ContentLeg, chunk: Buffer): boolean {
    if (this.push(chunk)) return true;
    this.#isFull = true;
    front.pause();
    return false;
  }

  /** Passes on what is there, leg by leg, while the reader takes it. */
  #pass(): void {
    while (!this.destroyed && !this.#isFull) {
      const [front] = this.#legs;
      if (front === undefined) return;
      for (let chunk = front.held.shift(); chunk !== undefined; chunk = front.held.shift()) {
        if (!this.#push(front, chunk)) return;
      }
      if (!front.isDone) {
        front.resume();
        this.#openFront();
        return;
      }
      this.#legs.shift();
      front.extra?.release();
      if (this.#legs.length === 0 && !this.#begin(front.end)) {
        this.push(null);
        return;
      }
    }
  }

  /** The next leg, where none has been fetched ahead. False where everything has come. */
  #begin(start: number): boolean {
    if (start === this.#end) return false;
    const isPiece = this.#isLarge && this.#source.hasRanges && this.#traffic.extraConnections.isInUse;
    const leg = new ContentLeg(this.#source, { start, end: isPiece ? this.#endOfPiece(start) : this.#end }, this);
    this.#legs.push(leg);
    return true;
  }

  /** Not while the reader is busy: what comes then would be lost where the connection breaks off before it goes on. */
  #openFront(): void {
    const [front] = this.#legs;
    if (front?.isIdle === true && !this.#isFull && !this.#isBackingOff) void this.#open(front);
  }

  /** As many legs ahead as may be. */
  #spread(): void {
    for (;;) {
      const last = this.#legs.at(-1);
      if (last === undefined || !this.#source.hasRanges) return;
      const isOpenEnded = last === this.#legs[0] && last.end === this.#end;
      // What is on its way of an answer that is cut off is lost: not for a piece that hardly pays.
      const start = isOpenEnded ? last.position + pieceBytes : last.end;
      if (this.#end - start < (isOpenEnded ? pieceBytes : 1) || !this.#host.hasRoom) return;
      const extra = this.#traffic.extraConnections.take();
      if (extra === undefined) return;
      if (isOpenEnded) last.moveEnd(start);
      this.#add(start, extra);
    }
  }

  #add(start: number, extra: ExtraConnection): void {
    const leg = new ContentLeg(this.#source, { start, end: this.#endOfPiece(start) }, this, extra);
    this.#legs.push(leg);
    void this.#openAhead(leg);
  }

  #endOfPiece(start: number): number {
    return Math.min(start + pieceBytes, this.#end);
  }

  /** After a leg's answer has broken off. */
  async #goOn(error: EdgeBundleError): Promise<void> {
    this.#isBackingOff = true;
    try {
      const failed = transientFailure(error);
      if (failed === undefined || !(await this.#attempts.next(failed, this.#source.signal))) throw error;
    } catch (reason) {
      this.destroy(reason as Error);
    }
    this.#isBackingOff = false;
    this.#openFront();
  }

  async #open(front: ContentLeg): Promise<void> {
    try {
      for (let next = this.#legs[1]; next?.isUntouched === true; [, next] = this.#legs) this.#join(front, next);
      await front.open(this.#attempts);
    } catch (error) {
      this.destroy(error as Error);
    }
  }

  /** What fails here is tried again when it is the leg's turn, and told then. */
  async #openAhead(leg: ContentLeg): Promise<void> {
    try {
      await leg.open(this.#traffic.retries.beginOnly(), { onlyRange: true });
    } catch {
      if (!this.destroyed) this.#giveUpAhead(leg);
    }
  }

  #giveUpAhead(leg: ContentLeg): void {
    leg.extra?.disconnect();
    this.#traffic.extraConnections.refused();
    const before = this.#legs[this.#legs.indexOf(leg) - 1];
    if (before === undefined) this.#openFront();
    else if (leg.isUntouched && before.bodyEnd >= leg.end) this.#join(before, leg);
  }

  /** `next`, of which nothing has come, becomes a part of the leg before it. */
  #join(leg: ContentLeg, next: ContentLeg): void {
    leg.moveEnd(next.end);
    this.#legs.splice(this.#legs.indexOf(next), 1);
    next.destroy();
  }
}
