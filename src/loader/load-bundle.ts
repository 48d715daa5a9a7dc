import { Copier, type CopyEvent } from '../copy/copier.ts';
import type { Descriptor } from '../content/descriptor.ts';
import { parseManifest } from '../content/manifest.ts';
import { isManifest } from '../content/media-types.ts';
import type { OperationOptions } from '../content/store.ts';
import { readContent } from '../content/verify.ts';
import { EdgeBundleError, throwIfAborted } from '../errors.ts';
import type { Repository } from '../oci-client/repository.ts';
import { forEachLimited } from '../copy/for-each-limited.ts';
import type { LoadEvent } from './load-events.ts';
import type { LoadResult } from './load-result.ts';
import { type PlannedImage, planLoad, projectsOf } from './load-plan.ts';
import { imageError, isGeneral } from './refusal.ts';
import {
  defaultConcurrency,
  ensureVerified,
  type RegistryTarget,
  type RegistryVerification,
  verifyImages,
} from './verify-registry.ts';

/** What a registry of projects does before content can come: `HarborClient`. */
export interface ProjectHost {
  prepareProject(name: string, options: OperationOptions): Promise<unknown>;
}

export interface LoadOptions extends RegistryTarget {
  /** Where the registry is a Harbor: makes sure of the project, and of the charts' where there are charts. */
  readonly harbor?: ProjectHost | undefined;
  /** Is called while bytes pass: it returns soon and does not throw. */
  readonly onEvent?: ((event: LoadEvent) => void) | undefined;
}

const againHint = 'Load again when that is mended: what is in the registry is not sent again.';

/**
 * Brings the images and charts of a bundle into a registry, and asks it for all of them in the end.
 *
 * One login comes first. Images are loaded independently, some at once, in the bundle's order: content that the
 * registry has is not sent, what another repository has is mounted, children come before parents and an image's tags after
 * all of its content. A second run sends nothing. What the verification misses is sent again, once.
 *
 * @throws EdgeBundleError REFERENCE_INVALID before anything is sent; NOT_VERIFIED with what is missing; what the login or
 *   the project is refused for; else the images that failed, as failures, with the code that they share (else FAILED)
 */
export async function loadBundle(options: LoadOptions): Promise<LoadResult> {
  const { bundle, client, registry, harbor, signal, onEvent } = options;
  const images = planLoad(bundle.document, options);
  throwIfAborted(signal);
  await client.ping(registry, { signal });
  for (const project of projectsOf(bundle.document, options)) await harbor?.prepareProject(project, { signal });
  const load = new Load(options);
  await load.run(images);
  onEvent?.({ type: 'verifying', images: images.length });
  let verification = await verifyImages(options, images);
  const incomplete = imagesOf(verification, images);
  if (incomplete.length > 0) {
    await load.run(incomplete, { deep: true });
    const again = await verifyImages(options, incomplete);
    verification = { ...verification, missing: again.missing };
  }
  const result = load.result(verification);
  onEvent?.({ type: 'verified', result });
  ensureVerified(result, registry);
  return result;
}

/** One load: its copier, and what has come of it so far. */
class Load {
  readonly #options: LoadOptions;
  readonly #copier: Copier;
  readonly #copied = { blobs: 0, bytes: 0 };
  readonly #mounted = { blobs: 0, bytes: 0 };

  constructor(options: LoadOptions) {
    const { concurrency = defaultConcurrency, signal } = options;
    this.#options = options;
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

  async #loadImage({ repository: name, root, tags }: PlannedImage, deep: boolean): Promise<'loaded' | 'present'> {
    const { bundle, client, registry, signal } = this.#options;
    const repository = client.repository(registry, name);
    const { manifests } = await this.#copier.copyGraph(bundle, repository, root, { deep });
    if (deep || manifests.length === 0) await this.#ensureListed(repository, root);
    for (const tag of tags) await repository.tag(root, tag, { signal });
    return manifests.length === 0 ? 'present' : 'loaded';
  }

  /**
   * Where the registry keeps no list of what refers to content, clients keep it, after the content: a load that was
   * interrupted between the two has left a signature that nobody finds.
   */
  async #ensureListed(repository: Repository, root: Descriptor): Promise<void> {
    const { bundle, signal } = this.#options;
    const { subject } = parseManifest(await readContent(bundle, root, { signal }), root);
    if (subject === undefined) return;
    const listed = await repository.referrers(subject, { signal });
    if (listed.some(({ digest }) => digest === root.digest)) return;
    await repository.push(root, await bundle.fetch(root, { signal }), { signal, isAbsent: true });
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

function imagesOf({ missing }: RegistryVerification, images: readonly PlannedImage[]): readonly PlannedImage[] {
  const incomplete = new Set(missing.flatMap(({ references }) => references));
  return images.filter(({ references }) => references.some((reference) => incomplete.has(reference)));
}

function sharedBy<T>(values: readonly T[]): T | undefined {
  return new Set(values).size === 1 ? values[0] : undefined;
}
