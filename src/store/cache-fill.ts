import { Readable } from 'node:stream';

import type { Descriptor } from '../content/descriptor.ts';
import type { Fetcher, FetchOptions, OperationOptions } from '../content/store.ts';
import { bytesOf } from '../content/verify.ts';
import { type EdgeBundleError, isEdgeBundleError } from '../errors.ts';
import type { BlobCache } from './blob-cache.ts';
import type { IngestFile } from './ingest.ts';

/**
 * Fetches one content, and writes it to the cache while it passes. What comes is not verified here: `keep` is called when
 * whoever took it has done that. A cache that fails never fails the fetch.
 */
export class CacheFill implements Fetcher {
  readonly #cache: BlobCache;
  readonly #source: Fetcher;
  readonly #target: Descriptor;
  readonly #onFailure: (error: EdgeBundleError) => void;
  #file: IngestFile | undefined;
  /** Set when it is clear that the file will not have all of the content. */
  #isGivenUp = false;
  #hasFailed = false;
  #isUnderway = false;

  /** @param onFailure the cache cannot be written */
  constructor(cache: BlobCache, source: Fetcher, target: Descriptor, onFailure: (error: EdgeBundleError) => void) {
    this.#cache = cache;
    this.#source = source;
    this.#target = target;
    this.#onFailure = onFailure;
  }

  async fetch(target: Descriptor, options: FetchOptions = {}): Promise<Readable> {
    const content = await this.#source.fetch(target, options);
    const start = options.range?.start ?? 0;
    // A second stream beside the first, or one that leaves a gap: the file would not become whole.
    if (this.#isUnderway || start > (this.#file?.bytes ?? 0)) this.#isGivenUp = true;
    if (this.#isGivenUp) return content;
    content.on('error', () => undefined);
    this.#isUnderway = true;
    const passing = Readable.from(this.#pass(content, start, options), { highWaterMark: 2 });
    // Where nobody reads it, `#pass` is never begun, and so never ended.
    return passing.once('close', () => {
      this.#isUnderway = false;
      content.destroy();
    });
  }

  /**
   * Keeps the content in the cache; from `kept`, which has it whole and verified, where it did not all pass here.
   *
   * @throws EdgeBundleError ABORTED, and what `kept` throws
   */
  async keep(kept: Fetcher, options: OperationOptions = {}): Promise<void> {
    if (this.#hasFailed) return;
    const isWhole = !this.#isGivenUp && this.#file?.bytes === this.#target.size;
    await this.#attempt(async () => {
      if (isWhole && this.#file !== undefined) await this.#cache.keep(this.#target, this.#file);
      else await this.#cache.push(this.#target, await kept.fetch(this.#target, options), options);
    });
  }

  /** Ends the work; what was not kept is removed. */
  async close(): Promise<void> {
    await this.#attempt(async () => this.#file?.close());
  }

  async *#pass(content: Readable, start: number, options: FetchOptions): AsyncGenerator<Buffer> {
    let writing = this.#attempt(async () => {
      this.#file ??= await this.#cache.begin(this.#target, options);
      if (this.#file === undefined) this.#isGivenUp = true;
      else await this.#file.rewind(start);
    });
    // It fails where it is waited for, and that may be later.
    writing.catch(() => undefined);
    try {
      for await (const chunk of bytesOf(content, options.signal)) {
        await writing;
        // Written while the chunk is used elsewhere: both only read it.
        writing = this.#isGivenUp ? Promise.resolve() : this.#attempt(async () => this.#file?.write([chunk]));
        yield chunk;
      }
    } finally {
      await writing;
      this.#isUnderway = false;
    }
  }

  async #attempt(task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (error) {
      this.#isGivenUp = true;
      this.#hasFailed = true;
      if (!isEdgeBundleError(error, 'NO_SPACE', 'FILE_FAILED', 'LOCKED')) throw error;
      this.#onFailure(error);
    }
  }
}
