import { Readable } from 'node:stream';

import { packedBlobBytes } from '../bundle/bundle-layout.ts';
import type { Descriptor } from '../content/descriptor.ts';
import { isManifest } from '../content/media-types.ts';
import {
  type ContentStore,
  type Fetcher,
  isManifestReader,
  type OperationOptions,
  type Resolver,
} from '../content/store.ts';
import { readContent } from '../content/verify.ts';
import { Flights } from '../copy/flights.ts';
import { isEdgeBundleError } from '../errors.ts';
import type { LocalContent } from './local-content.ts';

/** Reads manifests and small configs into memory, each once, whichever images and repositories have it. */
export class MetadataReader {
  readonly #metadata: ContentStore;
  readonly #local: LocalContent;
  readonly #reads = new Flights();

  /** @param metadata gets what was read */
  constructor(metadata: ContentStore, local: LocalContent) {
    this.#metadata = metadata;
    this.#local = local;
  }

  /** What `source` has, verified; asked for only where neither memory nor this machine has it. */
  through(source: Fetcher): Fetcher {
    return { fetch: (target, options = {}) => this.#fetch(source, target, options) };
  }

  /**
   * What `reference` stands for. Where nothing on this machine could have the manifest, it is asked for together with it.
   *
   * @throws EdgeBundleError NOT_FOUND, and what `source` throws
   */
  async resolve(source: Resolver, reference: string, options: OperationOptions = {}): Promise<Descriptor> {
    if (!this.#local.isEmpty || !isManifestReader(source)) return source.resolve(reference, options);
    const { descriptor, bytes } = await source.readManifest(reference, options);
    if (bytes === undefined || !isManifest(descriptor.mediaType)) return descriptor;
    try {
      await this.#metadata.push(descriptor, Readable.from([bytes]), options);
    } catch (error) {
      // It was damaged on its way: it will be fetched by its digest.
      if (!isEdgeBundleError(error, 'DIGEST_MISMATCH', 'SIZE_MISMATCH')) throw error;
    }
    return descriptor;
  }

  /** Makes content known that was made here. */
  async add(target: Descriptor, bytes: Buffer): Promise<void> {
    await this.#metadata.push(target, Readable.from([bytes]));
  }

  async #fetch(source: Fetcher, target: Descriptor, options: OperationOptions): Promise<Readable> {
    if (!isManifest(target.mediaType) && target.size > packedBlobBytes) return source.fetch(target, options);
    const { digest } = target;
    // Whoever waits for a read that fails tries its own source.
    for (let other = this.#reads.get(digest); other !== undefined; other = this.#reads.get(digest)) await other;
    await this.#reads.run(digest, async () => {
      if (!(await this.#metadata.exists(target, options))) await this.#read(source, target, options);
    });
    return this.#metadata.fetch(target, options);
  }

  async #read(source: Fetcher, target: Descriptor, options: OperationOptions): Promise<void> {
    const keep = (bytes: Buffer): Promise<void> => this.#metadata.push(target, Readable.from([bytes]), options);
    for await (const place of this.#local.placesOf(target, options)) {
      try {
        await keep(await readContent(place.store, target, options));
        return;
      } catch (error) {
        await this.#local.reportDamage(place, target, error);
      }
    }
    const bytes = await readContent(source, target, options);
    await keep(bytes);
    await this.#local.keep((cache) => cache.push(target, Readable.from([bytes]), options));
  }
}
