import type { Descriptor } from '../content/descriptor.ts';
import type { Digest } from '../content/digest.ts';
import type { Platform } from '../content/platform.ts';
import { platformNames } from '../content/platform-match.ts';
import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError } from '../errors.ts';
import type { AttachedRepository, Attachment, AttachmentFinder } from './attachments.ts';
import { type CutImage, cutToPlatforms } from './cut-to-platforms.ts';
import type { MetadataReader } from './metadata-reader.ts';
import { collectImage, type SourcedGraph } from './plan-content.ts';

/** How much of an image is carried, and what belongs to it. */
export interface ImageSelection {
  /** What indexes are cut down to. Default: none, they stay as they are. */
  readonly platforms?: readonly Platform[] | undefined;
  /** Goes on where an image does not have one of the platforms, with what it has. Default: false. */
  readonly allowMissingPlatform?: boolean | undefined;
  /** Carries signatures, attestations and SBOMs. Default: true. */
  readonly attachments?: boolean | undefined;
  /** Goes on where an index that has a signature is cut, without that signature. Default: false. */
  readonly allowOrphanedSignatures?: boolean | undefined;
}

/** An image that was resolved. */
export interface FoundImage extends AttachedRepository {
  readonly reference: string;
  readonly root: Descriptor;
}

export interface PreparedImage {
  readonly root: Descriptor;
  /** Of what was cut. */
  readonly originalDigest: Digest | undefined;
  readonly graph: SourcedGraph;
  readonly attachments: readonly Attachment[];
}

export interface ImagePreparerOptions extends OperationOptions {
  readonly selection: ImageSelection;
  /** Indexes that something asks for by these digests: they cannot be cut, or would not be found. */
  readonly pinned: ReadonlySet<Digest>;
  /** Bounds how many requests are under way at once. */
  readonly limit: <T>(task: () => Promise<T>) => Promise<T>;
  /** Told what the user should know of, and that stops nothing. */
  readonly onNote: (text: string) => void;
}

/** Reads the manifests of images, cuts them down to platforms, and finds what belongs to them. */
export class ImagePreparer {
  readonly #reader: MetadataReader;
  readonly #finder: AttachmentFinder;
  readonly #options: ImagePreparerOptions;

  constructor(reader: MetadataReader, finder: AttachmentFinder, options: ImagePreparerOptions) {
    this.#reader = reader;
    this.#finder = finder;
    this.#options = options;
  }

  /**
   * @throws EdgeBundleError NOT_FOUND where it does not have a platform, CONFIG_INVALID where a signature would be orphaned;
   *   what `collectImage` and `AttachmentFinder.find` throw
   */
  async prepare(image: FoundImage): Promise<PreparedImage> {
    const { signal, limit, selection } = this.#options;
    const root = await this.#cut(image);
    const { reference, source } = image;
    const manifests = this.#reader.through(source);
    const graph = await collectImage(reference, source, root, { signal, limit, manifests });
    const attachments =
      selection.attachments === false
        ? []
        : await this.#finder.find(
            image,
            graph.graph.manifests.map(({ descriptor }) => descriptor),
          );
    const originalDigest = root.digest === image.root.digest ? undefined : image.root.digest;
    return { root, originalDigest, graph, attachments };
  }

  /** @returns the root of what is carried */
  async #cut(image: FoundImage): Promise<Descriptor> {
    const { selection, pinned, limit, signal, onNote } = this.#options;
    const { platforms = [], allowMissingPlatform = false } = selection;
    const { root, reference, source } = image;
    if (platforms.length === 0) return root;
    const manifests = this.#reader.through(source);
    const cut = await cutToPlatforms(
      { fetch: (target, options) => limit(() => manifests.fetch(target, options)) },
      root,
      platforms,
      { signal },
    );
    if (cut.missing.length > 0) {
      if (!allowMissingPlatform) throw lacksPlatform(cut);
      onNote(
        `${reference}: has nothing for ${platformNames(cut.missing).join(', ')}, only for ${cut.offered.join(', ')}`,
      );
    }
    if (cut.made.length === 0) return root;
    if (pinned.has(root.digest)) {
      onNote(`${reference}: carried for all its platforms, since it is asked for by the digest of its index`);
      return root;
    }
    await this.#ensureNothingOrphaned(image, cut);
    for (const { descriptor, bytes } of cut.made) await this.#reader.add(descriptor, bytes);
    return cut.root;
  }

  async #ensureNothingOrphaned(image: FoundImage, { replaced }: CutImage): Promise<void> {
    const { attachments = true, allowOrphanedSignatures = false, platforms = [] } = this.#options.selection;
    if (!attachments) return;
    const names: string[] = [];
    for (const index of replaced) names.push(...(await this.#finder.namesAbout(image, index)));
    if (names.length === 0) return;
    const what = `${names.join(', ')} ${names.length === 1 ? 'belongs' : 'belong'} to its index`;
    if (!allowOrphanedSignatures) {
      throw new EdgeBundleError(
        'CONFIG_INVALID',
        `${what}, which gets another digest when it is cut down to ${platformNames(platforms).join(', ')}: a signature would no longer fit`,
        {
          hint: 'Ask for it by the digest of its index, which is carried whole; or leave such signatures behind: --allow-orphaned-signatures.',
        },
      );
    }
    this.#options.onNote(`${image.reference}: ${what}, and is left behind`);
  }
}

function lacksPlatform({ missing, offered }: CutImage): EdgeBundleError {
  return new EdgeBundleError(
    'NOT_FOUND',
    `it has nothing for ${platformNames(missing).join(', ')}, only for ${offered.join(', ')}`,
    { hint: 'Choose other platforms with --arch; or carry such images as they are: --allow-missing-platform.' },
  );
}
