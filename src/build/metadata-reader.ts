import { Readable } from 'node:stream';

import { packedBlobBytes } from '../bundle/bundle-layout.ts';
import type { Descriptor } from '../content/descriptor.ts';
import { isManifest } from '../content/media-types.ts';
import type { ContentStore, Fetcher, OperationOptions } from '../content/store.ts';
import { readContent } from '../content/verify.ts';
import { Flights } from '../copy/flights.ts';
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
