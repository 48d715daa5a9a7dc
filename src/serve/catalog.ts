import type { Descriptor } from '../content/descriptor.ts';
import type { Digest } from '../content/digest.ts';
import { isManifest } from '../content/media-types.ts';
import type { ManifestCache } from './manifest-cache.ts';
import type { RepositoryContent } from './registry-content.ts';

/** A manifest that was put into a repository. */
export interface CatalogEntry {
  readonly repository: string;
  readonly tag: string | undefined;
  readonly target: Descriptor;
}

interface Visible {
  readonly manifests: ReadonlyMap<Digest, Descriptor>;
  readonly blobs: ReadonlyMap<Digest, Descriptor>;
  readonly referrers: ReadonlyMap<Digest, readonly Descriptor[]>;
  /** Why the view may lack something: a manifest could not be read. */
  readonly failure: Error | undefined;
}

/** The repositories that a list of entries makes. Where two entries give one tag, the later one holds. */
export class Catalog {
  readonly #repositories = new Map<string, CatalogRepository>();

  constructor(entries: Iterable<CatalogEntry>, manifests: ManifestCache) {
    for (const { repository, tag, target } of entries) {
      let known = this.#repositories.get(repository);
      if (known === undefined) this.#repositories.set(repository, (known = new CatalogRepository(manifests)));
      known.add(target, tag);
    }
  }

  get names(): readonly string[] {
    return [...this.#repositories.keys()];
  }

  repository(name: string): RepositoryContent | undefined {
    return this.#repositories.get(name);
  }
}

class CatalogRepository implements RepositoryContent {
  readonly #manifests: ManifestCache;
  readonly #tags = new Map<string, Descriptor>();
  readonly #roots: Descriptor[] = [];
  #visible: Promise<Visible> | undefined;

  constructor(manifests: ManifestCache) {
    this.#manifests = manifests;
  }

  add(target: Descriptor, tag: string | undefined): void {
    this.#roots.push(target);
    if (tag !== undefined) this.#tags.set(tag, target);
  }

  get tags(): readonly string[] {
    return [...this.#tags.keys()];
  }

  resolve(tag: string): Descriptor | undefined {
    return this.#tags.get(tag);
  }

  async findManifest(digest: Digest): Promise<Descriptor | undefined> {
    const root = this.#roots.find((candidate) => candidate.digest === digest);
    if (root !== undefined) return root;
    const { manifests, failure } = await this.#view();
    return found(manifests.get(digest), failure);
  }

  async findBlob(digest: Digest): Promise<Descriptor | undefined> {
    const { blobs, failure } = await this.#view();
    return found(blobs.get(digest), failure);
  }

  async referrers(digest: Digest): Promise<readonly Descriptor[]> {
    const { referrers, failure } = await this.#view();
    if (failure !== undefined) throw failure;
    return referrers.get(digest) ?? [];
  }

  /** Walks the graph once, when somebody first asks; again where a manifest could not be read. */
  async #view(): Promise<Visible> {
    this.#visible ??= this.#walk();
    const visible = await this.#visible;
    if (visible.failure !== undefined) this.#visible = undefined;
    return visible;
  }

  async #walk(): Promise<Visible> {
    const manifests = new Map<Digest, Descriptor>();
    const blobs = new Map<Digest, Descriptor>();
    const referrers = new Map<Digest, readonly Descriptor[]>();
    let failure: Error | undefined;
    const waiting = [...this.#roots];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const seen = isManifest(next.mediaType) ? manifests : blobs;
      if (seen.has(next.digest)) continue;
      seen.set(next.digest, next);
      try {
        const summary = await this.#manifests.read(next);
        if (summary === undefined) continue;
        waiting.push(...summary.successors);
        const { subject, asReferrer } = summary;
        if (subject !== undefined) referrers.set(subject, [...(referrers.get(subject) ?? []), asReferrer]);
      } catch (error) {
        failure ??= error instanceof Error ? error : new Error(String(error));
      }
    }
    return { manifests, blobs, referrers, failure };
  }
}

/** What is not found is unknown only where everything could be read. */
function found(target: Descriptor | undefined, failure: Error | undefined): Descriptor | undefined {
  if (target === undefined && failure !== undefined) throw failure;
  return target;
}
