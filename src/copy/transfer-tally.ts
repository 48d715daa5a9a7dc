import type { Digest } from '../content/digest.ts';
import type { CopyEvent } from './copier.ts';

export interface BlobTransfer {
  readonly digest: Digest;
  readonly totalBytes: number;
  readonly doneBytes: number;
}

/** Sums up the events of a copy. Content counts once, however many places it is brought to. */
export class TransferTally {
  #startedMs: number | undefined;
  readonly #blobs = new Map<Digest, BlobTransfer>();
  #totalBytes: number | undefined;
  #doneBytes = 0;
  #movedBytes = 0;

  /** How much there is in all, in bytes, and how much of it was done before: that says nothing of how fast it goes. */
  expect(totalBytes: number, presentBytes = 0): void {
    this.#totalBytes = totalBytes;
    this.#doneBytes += presentBytes;
  }

  add(event: CopyEvent): void {
    this.#startedMs ??= performance.now();
    const { digest, size: totalBytes } = event.descriptor;
    const before = this.#blobs.get(digest)?.doneBytes ?? 0;
    const moved = event.type === 'progress' ? event.bytes : 0;
    const doneBytes =
      event.type === 'finished' ? totalBytes : event.type === 'restarted' ? 0 : Math.min(before + moved, totalBytes);
    this.#blobs.set(digest, { digest, totalBytes, doneBytes });
    this.#doneBytes += doneBytes - before;
    this.#movedBytes += moved;
  }

  /** So many bytes more are done, of no blob in particular. */
  advance(bytes: number): void {
    this.#startedMs ??= performance.now();
    this.#doneBytes += bytes;
    this.#movedBytes += bytes;
  }

  /** What is on its way: begun and not complete. */
  get running(): readonly BlobTransfer[] {
    return [...this.#blobs.values()].filter(({ doneBytes, totalBytes }) => doneBytes < totalBytes);
  }

  get doneBytes(): number {
    return this.#doneBytes;
  }

  get totalBytes(): number | undefined {
    return this.#totalBytes;
  }

  get bytesPerSecond(): number {
    const elapsedMs = this.#startedMs === undefined ? 0 : performance.now() - this.#startedMs;
    return elapsedMs === 0 ? 0 : Math.round((this.#movedBytes * 1000) / elapsedMs);
  }
}
