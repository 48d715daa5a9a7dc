import type { Descriptor } from '../content/descriptor.ts';
import type { Digest } from '../content/digest.ts';
import { type Manifest, parseManifest, successors } from '../content/manifest.ts';
import { isManifest } from '../content/media-types.ts';
import type { Fetcher } from '../content/store.ts';
import { readContent } from '../content/verify.ts';
import { isEdgeBundleError } from '../errors.ts';

/** What a registry has to know of a manifest. */
export interface ManifestSummary {
  readonly successors: readonly Descriptor[];
  readonly subject: Digest | undefined;
  /** As an entry of the list of referrers: OCI distribution-spec v1.1, "Listing Referrers". */
  readonly asReferrer: Descriptor;
}

/** Reads each manifest of a store once. A failure is not kept: the next reader tries again. */
export class ManifestCache {
  readonly #fetcher: Fetcher;
  readonly #summaries = new Map<Digest, Promise<ManifestSummary | undefined>>();

  constructor(fetcher: Fetcher) {
    this.#fetcher = fetcher;
  }

  /**
   * Undefined for what is no manifest, and for one that the store does not have: an index may name platforms that
   * nobody wanted.
   *
   * @throws EdgeBundleError as `readContent` and `parseManifest` do
   */
  read(target: Descriptor): Promise<ManifestSummary | undefined> {
    if (!isManifest(target.mediaType)) return Promise.resolve(undefined);
    const known = this.#summaries.get(target.digest);
    if (known !== undefined) return known;
    const reading = this.#read(target);
    this.#summaries.set(target.digest, reading);
    reading.then(
      (summary) => summary ?? this.#summaries.delete(target.digest),
      () => this.#summaries.delete(target.digest),
    );
    return reading;
  }

  async #read(target: Descriptor): Promise<ManifestSummary | undefined> {
    try {
      const manifest = parseManifest(await readContent(this.#fetcher, target), target);
      return {
        successors: successors(manifest),
        subject: manifest.subject?.digest,
        asReferrer: asReferrer(target, manifest),
      };
    } catch (error) {
      if (isEdgeBundleError(error, 'NOT_FOUND')) return undefined;
      throw error;
    }
  }
}

function asReferrer(target: Descriptor, manifest: Manifest): Descriptor {
  const { mediaType, digest, size } = target;
  const { artifactType, annotations } = manifest;
  const isStated = artifactType !== undefined && artifactType !== '';
  const implied = manifest.kind === 'manifest' ? manifest.config.mediaType : undefined;
  return { mediaType, digest, size, artifactType: isStated ? artifactType : implied, annotations };
}
