import type { Descriptor } from '../content/descriptor.ts';
import { parseManifest } from '../content/manifest.ts';
import { isManifest, mediaTypes } from '../content/media-types.ts';
import { readContent } from '../content/verify.ts';
import { Copier, type CopyEvent } from '../copy/copier.ts';
import { forEachLimited } from '../copy/for-each-limited.ts';
import { EdgeBundleError, throwIfAborted } from '../errors.ts';
import type { MountedBlobs } from './base-blobs.ts';
import type { LoadJournal } from './load-journal.ts';
import type { LoadOptions } from './load-options.ts';
import { type PlannedImage, projectsOf } from './load-plan.ts';
import type { LoadResult } from './load-result.ts';
import { LoadTarget } from './load-target.ts';
import type { Patience } from './patience.ts';
import { imageError, isGeneral } from './refusal.ts';
import { defaultConcurrency, type RegistryVerification } from './verify-registry.ts';

export interface LoadTools {
  readonly patience: Patience;
  readonly journal: LoadJournal;
}

const againHint = 'Load again when that is mended: what is in the registry is not sent again.';

/** One load: its copier, and what has come of it so far. */
export class Load {
  readonly #options: LoadOptions;
  readonly #tools: LoadTools;
  readonly #copier: Copier;
  readonly #targets = new Map<string, LoadTarget>();
  readonly #copied = { blobs: 0, bytes: 0 };
  readonly #mounted = { blobs: 0, bytes: 0 };

  constructor(options: LoadOptions, tools: LoadTools) {
    const { concurrency = defaultConcurrency, signal } = options;
    this.#options = options;
    this.#tools = tools;
    this.#copier = new Copier({ concurrency, signal, onEvent: (event) => this.#onCopyEvent(event) });
  }

  /** @throws EdgeBundleError with the images that failed */
  async run(images: readonly PlannedImage[], { deep = false } = {}): Promise<void> {
    const { concurrency = defaultConcurrency, signal, onEvent } = this.#options;
    const failures: EdgeBundleError[] = [];
    let tried = 0;
    await forEachLimited(byRepository(images), concurrency, async (group) => {
      for (const image of group) {
        if (failures.some(isGeneral)) return;
        throwIfAborted(signal);
        tried++;
        onEvent?.({ type: 'image-started', image });
        try {
          const outcome = await this.#loadImage(image, deep);
          onEvent?.({ type: 'image-finished', image, outcome });
        } catch (cause) {
          throwIfAborted(signal);
          const error = imageError(image.references.join(', '), cause);
          failures.push(error);
          onEvent?.({ type: 'image-failed', image, error });
        }
      }
    });
    if (failures.length > 0) throw this.#summary(failures, images.length, tried);
  }

  /** What was mounted before the first image. */
  addMounted({ blobs, bytes }: MountedBlobs): void {
    this.#mounted.blobs += blobs;
    this.#mounted.bytes += bytes;
  }

  result({ images, charts, asked, missing }: RegistryVerification): LoadResult {
    const { blobs: uploaded, bytes: uploadedBytes } = this.#copied;
    const { blobs: mounted, bytes: mountedBytes } = this.#mounted;
    // What has vanished after its upload has been sent twice.
    const present = Math.max(0, asked.blobs - uploaded - mounted);
    return {
      images,
      charts,
      blobs: { uploaded, mounted, present },
      bytes: {
        uploaded: uploadedBytes,
        mounted: mountedBytes,
        present: Math.max(0, asked.blobBytes - uploadedBytes - mountedBytes),
      },
      missing,
    };
  }

  /** What earlier runs have begun to upload, and what has come in another way since, need not stay in the registry. */
  async abandonUploads(): Promise<void> {
    const { client, registry, signal } = this.#options;
    const { journal } = this.#tools;
    for (const { repository, blob, location } of journal.openUploads) {
      const descriptor = { mediaType: mediaTypes.octetStream, digest: blob, size: 0 };
      await client.repository(registry, repository).cancelUpload(descriptor, location, { signal });
      await journal.uploadEnded(repository, blob);
    }
  }

  async #loadImage({ repository, root, tags }: PlannedImage, deep: boolean): Promise<'loaded' | 'present'> {
    const { bundle, signal } = this.#options;
    const { journal } = this.#tools;
    if (!deep && journal.isComplete(repository, root.digest)) return 'present';
    const target = this.#target(repository);
    const { manifests } = await this.#copier.copyGraph(bundle, target, root, { deep });
    // Other images are being copied meanwhile: all requests together are no more than a Harbor bears.
    if (deep || manifests.length === 0) await this.#copier.limited(() => this.#ensureListed(repository, root));
    for (const tag of tags) await this.#copier.limited(() => target.tag(root, tag, { signal }));
    await journal.completed(repository, root.digest);
    return manifests.length === 0 ? 'present' : 'loaded';
  }

  #target(name: string): LoadTarget {
    const known = this.#targets.get(name);
    if (known !== undefined) return known;
    const { bundle: source, client, registry, harbor: artifacts, touchAgainMs } = this.#options;
    const repository = client.repository(registry, name);
    const target = new LoadTarget({ repository, source, artifacts, touchAgainMs, ...this.#tools });
    this.#targets.set(name, target);
    return target;
  }

  /**
   * Where the registry keeps no list of what refers to content, clients keep it, after the content: a load that was
   * interrupted between the two has left a signature that nobody finds.
   */
  async #ensureListed(name: string, root: Descriptor): Promise<void> {
    const { bundle, client, registry, signal } = this.#options;
    const { subject } = parseManifest(await readContent(bundle, root, { signal }), root);
    if (subject === undefined) return;
    const repository = client.repository(registry, name);
    await this.#tools.patience.attempt(async () => {
      const listed = await repository.referrers(subject, { signal });
      if (listed.some(({ digest }) => digest === root.digest)) return;
      await repository.push(root, await bundle.fetch(root, { signal }), { signal, isAbsent: true });
    });
  }

  #onCopyEvent(event: CopyEvent): void {
    if (event.type === 'finished' && !isManifest(event.descriptor.mediaType)) {
      const tally = event.outcome === 'copied' ? this.#copied : event.outcome === 'mounted' ? this.#mounted : undefined;
      if (tally !== undefined) {
        tally.blobs++;
        tally.bytes += event.descriptor.size;
      }
    }
    this.#options.onEvent?.(event);
  }

  #summary(failures: readonly EdgeBundleError[], images: number, tried: number): EdgeBundleError {
    const { bundle, registry } = this.#options;
    const what = bundle.document.charts.length === 0 ? 'images' : 'images and charts';
    const projects = projectsOf(bundle.document, this.#options).map((project) => `${registry}/${project}`);
    const reason = failures.find(isGeneral);
    const untried = tried === images ? '' : `; ${images - tried} were not tried, for the same would befall them`;
    return new EdgeBundleError(
      reason?.code ?? sharedBy(failures.map(({ code }) => code)) ?? 'FAILED',
      `${failures.length} of ${images} ${what} could not be loaded into ${projects.join(' and ')}${untried}`,
      { hint: reason?.hint ?? sharedBy(failures.map(({ hint }) => hint)) ?? againHint, failures },
    );
  }
}

/**
 * Images of one repository follow one another: while a manifest that two of them have (a signature's subject) is being
 * put, docker-registry 2.8 answers 500 to whoever asks for it.
 */
function byRepository(images: readonly PlannedImage[]): Iterable<readonly PlannedImage[]> {
  const groups = new Map<string, PlannedImage[]>();
  for (const image of images) groups.set(image.repository, [...(groups.get(image.repository) ?? []), image]);
  return groups.values();
}

function sharedBy<T>(values: readonly T[]): T | undefined {
  return new Set(values).size === 1 ? values[0] : undefined;
}
