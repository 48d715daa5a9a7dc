import type { Descriptor } from '../content/descriptor.ts';
import type { Digest } from '../content/digest.ts';
import type { ContentStore, Fetcher } from '../content/store.ts';
import { Copier, type CopierOptions, type CopyEvent } from '../copy/copier.ts';
import { forEachLimited } from '../copy/for-each-limited.ts';
import type { FailureCollector } from './failure-collector.ts';
import type { ContentOrigin, LocalContent } from './local-content.ts';

/** Where the bytes came from. */
export interface SuppliedBytes {
  readonly downloaded: number;
  /** What did not have to be downloaded, because this machine had it. */
  readonly reused: { readonly bundles: number; readonly cache: number };
}

/** A blob that is to be fetched, from a repository that has it, for an image that wants it. */
export interface PlannedBlob {
  readonly blob: Descriptor;
  readonly source: Fetcher;
  readonly wantedBy: string;
}

export interface BlobSupplyOptions extends Pick<CopierOptions, 'onEvent'> {
  /** How many blobs are on their way at once. */
  readonly concurrency: number;
  /** Keeps what cannot be had. */
  readonly failures: FailureCollector;
}

/** Brings blobs to their place: from earlier bundles, from the cache, and what neither has from a registry. */
export class BlobSupply {
  readonly #local: LocalContent;
  readonly #copier: Copier;
  readonly #concurrency: number;
  readonly #failures: FailureCollector;
  readonly #origins = new Map<Digest, ContentOrigin>();
  readonly #bytes: Record<ContentOrigin, number> = { bundle: 0, cache: 0, registry: 0 };

  constructor(local: LocalContent, options: BlobSupplyOptions) {
    const { concurrency, failures } = options;
    this.#local = local;
    this.#concurrency = concurrency;
    this.#failures = failures;
    this.#copier = new Copier({
      concurrency,
      signal: failures.signal,
      onEvent: (event) => {
        this.#count(event);
        options.onEvent?.(event);
      },
    });
  }

  get bytes(): SuppliedBytes {
    const { bundle, cache, registry } = this.#bytes;
    return { downloaded: registry, reused: { bundles: bundle, cache } };
  }

  /** Copies `blobs` into `target`, begun in this order. What cannot be had does not stop the others. */
  async deliverAll(blobs: readonly PlannedBlob[], target: ContentStore): Promise<void> {
    // Begun all at once, those that wait would hold much more memory than those under way.
    await forEachLimited(blobs, this.#concurrency, async (blob) => {
      await this.#tryDeliver(blob, target);
    });
  }

  /** Copies `blobs` into `target`, each when the one before is there; after a failure none of the others. */
  async deliverInOrder(blobs: readonly PlannedBlob[], target: ContentStore): Promise<void> {
    for (const blob of blobs) if (!(await this.#tryDeliver(blob, target))) return;
  }

  #tryDeliver({ blob, source, wantedBy }: PlannedBlob, target: ContentStore): Promise<boolean> {
    return this.#failures.run(wantedBy, () => this.#deliver(source, target, blob));
  }

  /**
   * Into `target`, which verifies it. What is damaged on this machine is fetched from `source` instead.
   *
   * @throws EdgeBundleError what `Copier.copyContent` throws
   */
  async #deliver(source: Fetcher, target: ContentStore, blob: Descriptor): Promise<void> {
    const options = { signal: this.#failures.signal };
    const isThere = await target.exists(blob, options);
    for await (const place of isThere ? [] : this.#local.placesOf(blob, options)) {
      this.#origins.set(blob.digest, place.origin);
      try {
        await this.#copier.copyContent(place.store, target, blob);
        return;
      } catch (error) {
        await this.#local.reportDamage(place, blob, error);
      }
    }
    this.#origins.set(blob.digest, 'registry');
    const fill = isThere ? undefined : this.#local.fill(source, blob);
    try {
      // Where it goes on behind what a damaged source had given, the copier finds the whole wrong and fetches all of it.
      await this.#copier.copyContent(fill ?? source, target, blob);
      await fill?.keep(target, options);
    } finally {
      await fill?.close();
    }
  }

  #count(event: CopyEvent): void {
    const { cache } = this.#local;
    if (event.type === 'progress') {
      this.#bytes[this.#origins.get(event.descriptor.digest) ?? 'registry'] += event.bytes;
    } else if (event.type === 'finished' && event.outcome === 'copied' && cache !== undefined) {
      // What is in the bundle by now need not be kept free for it.
      cache.keepFreeBytes = Math.max(0, cache.keepFreeBytes - event.descriptor.size);
    }
  }
}
