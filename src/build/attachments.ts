import type { Descriptor } from '../content/descriptor.ts';
import { type Digest, digestAlgorithm, digestHex } from '../content/digest.ts';
import {
  isReferrers,
  isTagLister,
  type OperationOptions,
  type ReadOnlyContentStore,
  type Resolver,
} from '../content/store.ts';
import { isEdgeBundleError } from '../errors.ts';
import type { MetadataReader } from './metadata-reader.ts';
import { collectImage, type SourcedGraph } from './plan-content.ts';

/** A signature, an attestation, an SBOM: content of an image's repository that belongs to one of its manifests. */
export interface Attachment {
  /** Of the repository, with the tag where it is found by one, else with the digest. */
  readonly reference: string;
  readonly root: Descriptor;
  /** What it is about: a manifest of the image, or of another attachment. */
  readonly subject: Digest;
  /** Without the subject. */
  readonly graph: SourcedGraph;
}

/** Where attachments are looked for. */
export interface AttachedRepository {
  /** `docker.io/library/nginx` */
  readonly name: string;
  readonly source: ReadOnlyContentStore & Resolver;
}

export interface AttachmentOptions extends OperationOptions {
  /** Bounds how many requests are under way at once. */
  readonly limit: <T>(task: () => Promise<T>) => Promise<T>;
}

/** What was found about one manifest. */
interface Finding {
  readonly tag: string | undefined;
  readonly root: Descriptor;
}

interface RepositoryState {
  /** Undefined where the registry does not list them. */
  readonly tags: Promise<ReadonlySet<string> | undefined>;
  readonly findings: Map<Digest, Promise<readonly Finding[]>>;
}

/** cosign, "Signature spec", "Storage": the tag of what belongs to `sha256:<hex>` is `sha256-<hex>` and one of these. */
const suffixes = ['sig', 'att', 'sbom'] as const;

/**
 * Finds what belongs to images: by cosign's tags and as referrers (OCI distribution-spec v1.1, "Listing Referrers"), also of
 * what it finds. A repository is asked for its tags once, and for the referrers of each manifest once.
 */
export class AttachmentFinder {
  readonly #reader: MetadataReader;
  readonly #options: AttachmentOptions;
  readonly #repositories = new Map<string, RepositoryState>();

  constructor(reader: MetadataReader, options: AttachmentOptions) {
    this.#reader = reader;
    this.#options = options;
  }

  /**
   * All that belongs to `manifests`, to what belongs to that, and so on; each content once, behind what it is about.
   *
   * @throws EdgeBundleError where something is known to be there and cannot be had, or the registry does not tell
   */
  async find(repository: AttachedRepository, manifests: readonly Descriptor[]): Promise<Attachment[]> {
    const subjects = new Set(manifests.map(({ digest }) => digest));
    const found: Attachment[] = [];
    const waiting = [...manifests];
    for (let subject = waiting.shift(); subject !== undefined; subject = waiting.shift()) {
      for (const { root, tag } of await this.#findingsAbout(repository, subject)) {
        if (subjects.has(root.digest)) continue;
        const { name, source } = repository;
        const reference = tag === undefined ? `${name}@${root.digest}` : `${name}:${tag}`;
        const graph = await collectImage(reference, source, root, {
          ...this.#options,
          manifests: this.#reader.through(source),
          // What it is about is carried already.
          descend: (manifest) => Promise.resolve(!subjects.has(manifest.digest)),
        });
        for (const { descriptor } of graph.graph.manifests) {
          subjects.add(descriptor.digest);
          waiting.push(descriptor);
        }
        found.push({ reference, root, subject: subject.digest, graph });
      }
    }
    return found;
  }

  /** The names of what belongs to `manifest` itself. @throws EdgeBundleError as `find` */
  async namesAbout(repository: AttachedRepository, manifest: Descriptor): Promise<string[]> {
    return (await this.#findingsAbout(repository, manifest)).map(({ tag, root }) => tag ?? root.digest);
  }

  async #findingsAbout(repository: AttachedRepository, subject: Descriptor): Promise<readonly Finding[]> {
    const state = this.#stateOf(repository);
    const known = state.findings.get(subject.digest);
    if (known !== undefined) return known;
    const asked = state.tags.then((tags) => this.#ask(repository, subject, tags));
    state.findings.set(subject.digest, asked);
    return asked;
  }

  async #ask(
    { source }: AttachedRepository,
    subject: Descriptor,
    knownTags: ReadonlySet<string> | undefined,
  ): Promise<readonly Finding[]> {
    const { limit, signal } = this.#options;
    const findings = new Map<Digest, Finding>();
    for (const suffix of suffixes) {
      const tag = `${digestAlgorithm(subject.digest)}-${digestHex(subject.digest)}.${suffix}`;
      if (knownTags?.has(tag) === false) continue;
      const root = await limit(() => this.#resolve(source, tag, knownTags !== undefined));
      if (root !== undefined) findings.set(root.digest, { tag, root });
    }
    const listed = isReferrers(source) ? await limit(() => source.referrers(subject, { signal, knownTags })) : [];
    for (const { mediaType, digest, size } of listed) {
      if (!findings.has(digest)) findings.set(digest, { tag: undefined, root: { mediaType, digest, size } });
    }
    return [...findings.values()].sort((one, other) => (one.root.digest < other.root.digest ? -1 : 1));
  }

  /** @param isThere the registry has listed the tag */
  async #resolve(source: Resolver, tag: string, isThere: boolean): Promise<Descriptor | undefined> {
    try {
      return await this.#reader.resolve(source, tag, { signal: this.#options.signal });
    } catch (error) {
      if (isThere || !isEdgeBundleError(error, 'NOT_FOUND')) throw error;
      return undefined;
    }
  }

  #stateOf({ name, source }: AttachedRepository): RepositoryState {
    const known = this.#repositories.get(name);
    if (known !== undefined) return known;
    const state = { tags: this.#listTags(source), findings: new Map<Digest, Promise<readonly Finding[]>>() };
    // It is waited for where it is needed.
    state.tags.catch(() => undefined);
    this.#repositories.set(name, state);
    return state;
  }

  async #listTags(source: object): Promise<ReadonlySet<string> | undefined> {
    // It is no repository of a registry: nothing belongs to what it has but what it says itself.
    if (!isTagLister(source)) return new Set();
    const { limit, signal } = this.#options;
    try {
      return new Set(await limit(() => source.tags({ signal })));
    } catch (error) {
      // No tag at all; or it gives content, and no lists: each tag is asked for then.
      if (isEdgeBundleError(error, 'NOT_FOUND')) return new Set();
      if (isEdgeBundleError(error, 'ACCESS_DENIED', 'AUTH_FAILED', 'REGISTRY_ERROR')) return undefined;
      throw error;
    }
  }
}
