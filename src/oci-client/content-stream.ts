import { Readable } from 'node:stream';

import { EdgeBundleError } from '../errors.ts';
import type { HttpResponse } from './http-response.ts';
import { transportError } from './transport-error.ts';

/** In chunks of up to 64 KiB, as they come from a socket. */
const highWaterMark = 4;

/** Which part of a body is wanted; in bytes. */
export interface BodyPart {
  readonly skipBytes: number;
  readonly lengthBytes: number;
  /** Whether the body goes on after that part. Where it does not and more comes, the stream fails. */
  readonly isCut: boolean;
}

/**
 * The wanted part of an answer's body. It ends after exactly that many bytes or fails: TRANSFER_INCOMPLETE where the
 * body ends or breaks off early, SIZE_MISMATCH where it is longer, TIMEOUT where it stalls, ABORTED.
 */
export class ContentStream extends Readable {
  readonly #response: HttpResponse;
  readonly #part: BodyPart;
  #skippedBytes = 0;
  #receivedBytes = 0;

  constructor(response: HttpResponse, part: BodyPart) {
    // In object mode chunks stay as they are: a byte stream would join those that wait, and copy them all.
    super({ objectMode: true, highWaterMark });
    this.#response = response;
    this.#part = part;
    // It may fail before somebody reads it; whoever reads it then gets the error.
    this.on('error', () => undefined);
    response.body
      .on('data', (chunk: Buffer) => this.#take(chunk))
      .on('end', () => this.#finish())
      .on('error', (error) => this.destroy(transportError(error, { ...this.#where(), progress: this.#progress() })))
      .pause();
  }

  override _read(): void {
    this.#response.body.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#response.body.destroy();
    callback(error);
  }

  #take(chunk: Buffer): void {
    if (this.destroyed || this.readableEnded) return;
    const { skipBytes, lengthBytes, isCut } = this.#part;
    const skip = Math.min(chunk.byteLength, skipBytes - this.#skippedBytes);
    this.#skippedBytes += skip;
    const missing = lengthBytes - this.#receivedBytes;
    const wanted = chunk.subarray(skip, skip + missing);
    this.#receivedBytes += wanted.byteLength;
    if (wanted.byteLength > 0 && !this.push(wanted)) this.#response.body.pause();
    if (isCut && wanted.byteLength === missing) {
      this.push(null);
    } else if (chunk.byteLength - skip > missing) {
      const { what } = this.#response;
      this.destroy(new EdgeBundleError('SIZE_MISMATCH', `${what}: expected ${lengthBytes} bytes, more came`));
    }
  }

  #finish(): void {
    const { receivedBytes, expectedBytes } = this.#progress();
    if (receivedBytes === expectedBytes) {
      if (!this.#part.isCut) this.push(null);
      return;
    }
    const { what, url } = this.#response;
    this.destroy(
      new EdgeBundleError(
        'TRANSFER_INCOMPLETE',
        `${what}: ${url.host} ended early, ${receivedBytes} of ${expectedBytes} bytes came`,
      ),
    );
  }

  #where(): Pick<HttpResponse, 'what' | 'url' | 'signal'> {
    const { what, url, signal } = this.#response;
    return { what, url, signal };
  }

  #progress(): { receivedBytes: number; expectedBytes: number } {
    return { receivedBytes: this.#receivedBytes, expectedBytes: this.#part.lengthBytes };
  }
}
