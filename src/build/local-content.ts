import type { Descriptor } from '../content/descriptor.ts';
import type { ContentStore, Fetcher, OperationOptions, ReadOnlyContentStore } from '../content/store.ts';
import { type EdgeBundleError, type ErrorCode, isEdgeBundleError } from '../errors.ts';
import type { BlobCache } from '../store/blob-cache.ts';
import { CacheFill } from '../store/cache-fill.ts';

/** What a local source fails with when it is damaged, or gone: the next one is tried. */
const damage: readonly ErrorCode[] = [
  'BUNDLE_INVALID',
  'CONTENT_INVALID',
  'DIGEST_MISMATCH',
  'FILE_FAILED',
  'NOT_FOUND',
  'SIZE_MISMATCH',
  'TRANSFER_INCOMPLETE',
];

/** A bundle that was built before; a `BundleReader` is one. */
export interface EarlierBundle extends ReadOnlyContentStore {
  /** Names it in messages. */
  readonly paths: readonly string[];
}

/** Where content comes from. */
export type ContentOrigin = 'bundle' | 'cache' | 'registry';

/** A place on this machine that has some content. */
export interface LocalSource {
  readonly origin: Exclude<ContentOrigin, 'registry'>;
  readonly store: Fetcher;
  readonly name: string;
}

export interface LocalContentOptions {
  readonly bundles?: readonly EarlierBundle[] | undefined;
  readonly cache?: BlobCache | undefined;
  /** Told of what is damaged, and of a cache that cannot be used; neither stops the build. */
  readonly onWarning: (text: string) => void;
}

/** What need not be fetched from a registry: earlier bundles, read in place, and the cache. */
export class LocalContent {
  readonly #bundles: readonly EarlierBundle[];
  readonly #onWarning: (text: string) => void;
  #cache: BlobCache | undefined;

  constructor({ bundles = [], cache, onWarning }: LocalContentOptions) {
    this.#bundles = bundles;
    this.#cache = cache;
    this.#onWarning = onWarning;
  }

  /** Undefined where there is none, or it has failed. */
  get cache(): BlobCache | undefined {
    return this.#cache;
  }

  /** Whether there is neither an earlier bundle nor a cache. */
  get isEmpty(): boolean {
    return this.#bundles.length === 0 && this.#cache === undefined;
  }

  /** The places that have `target`, the nearest first. */
  async *placesOf(target: Descriptor, options: OperationOptions = {}): AsyncGenerator<LocalSource> {
    for (const bundle of this.#bundles) {
      if (await bundle.exists(target, options)) {
        yield { origin: 'bundle', store: bundle, name: `'${bundle.paths[0] ?? 'a bundle'}'` };
      }
    }
    const cache = this.#cache;
    if (cache !== undefined && (await this.#isCached(cache, target, options))) {
      yield { origin: 'cache', store: cache, name: 'the cache' };
    }
  }

  /**
   * To be called with what reading from `place` failed with: warns, and sees to it that damaged content is not found again.
   *
   * @throws `error` where it does not mean damage
   */
  async reportDamage(place: LocalSource, target: Descriptor, error: unknown): Promise<void> {
    if (!isEdgeBundleError(error, ...damage)) throw error;
    this.#onWarning(`${place.name} cannot give ${target.digest}, so it is fetched again: ${error.message}`);
    if (place.origin === 'cache') {
      await this.#cache?.remove(target.digest).catch((cause: unknown) => this.giveUpCache(cause));
    }
  }

  /** What puts `target` into the cache while it is fetched from `source`; undefined without a cache. */
  fill(source: Fetcher, target: Descriptor): CacheFill | undefined {
    const cache = this.#cache;
    if (cache === undefined) return undefined;
    return new CacheFill(cache, source, target, (error) => this.giveUpCache(error));
  }

  /** Puts small content, which was verified, into the cache. */
  async keep(push: (cache: ContentStore) => Promise<void>): Promise<void> {
    const cache = this.#cache;
    if (cache !== undefined) await push(cache).catch((error: unknown) => this.giveUpCache(error));
  }

  /**
   * Goes on without the cache: it is there to save time.
   *
   * @throws `error` where it is not the cache's
   */
  giveUpCache(error: unknown): void {
    if (!isEdgeBundleError(error, 'NO_SPACE', 'FILE_FAILED', 'LOCKED')) throw error;
    if (this.#cache !== undefined) this.#onWarning(cacheWarning(error));
    this.#cache = undefined;
  }

  async #isCached(cache: BlobCache, target: Descriptor, options: OperationOptions): Promise<boolean> {
    try {
      return await cache.exists(target, options);
    } catch (error) {
      this.giveUpCache(error);
      return false;
    }
  }
}

function cacheWarning({ message }: EdgeBundleError): string {
  return `the build goes on without the cache: ${message}`;
}
