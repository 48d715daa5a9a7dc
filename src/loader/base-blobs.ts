import type { BundleBase, BundleDocument } from '../bundle/bundle-document.ts';
import { bundleId, contentDescriptor } from '../bundle/bundle-document.ts';
import type { Descriptor } from '../content/descriptor.ts';
import type { Digest } from '../content/digest.ts';
import { collectGraph } from '../content/graph.ts';
import { forEachLimited } from '../copy/for-each-limited.ts';
import { EdgeBundleError, isEdgeBundleError, throwIfAborted } from '../errors.ts';
import { parseReference } from '../oci-client/reference.ts';
import { defaultPacksProject, type PlannedImage, type TargetProjects } from './load-plan.ts';
import { targetChart, targetRepository } from './target-repository.ts';
import { defaultConcurrency, describeMissing, type RegistryTarget } from './verify-registry.ts';

/** What became content of a repository without an upload. */
export interface MountedBlobs {
  readonly blobs: number;
  readonly bytes: number;
}

/** A blob that a delta does not carry, in a repository that has to have it. */
interface Need {
  readonly repository: string;
  readonly blob: Descriptor;
  readonly references: Set<string>;
}

/** Where content of the base may be in the registry. */
interface Home {
  readonly repository: string;
  readonly root: Descriptor;
}

/**
 * Makes sure that the registry has what a delta leaves to its base, in each repository where an image needs it: first asks for
 * everything, and changes nothing where something is missing; then mounts what another repository has. Nothing is uploaded.
 *
 * @throws EdgeBundleError BASE_MISSING with everything that is missing, as failures; UNSUPPORTED where the registry does not
 *   mount; what the bundle throws where it is damaged
 */
export async function provideBaseBlobs(target: RegistryTarget, images: readonly PlannedImage[]): Promise<MountedBlobs> {
  const { base } = target.bundle.document;
  if (base === undefined) return { blobs: 0, bytes: 0 };
  const { absent, holders, missing } = await locateBaseBlobs(target, images, base);
  if (missing.length > 0) throw baseMissing(base, target.registry, missing);
  await mountAll(target, absent, holders);
  return { blobs: absent.length, bytes: absent.reduce((sum, { blob }) => sum + blob.size, 0) };
}

/**
 * Whether the registry has what a delta leaves to its base: changes nothing there.
 *
 * @throws EdgeBundleError BASE_MISSING with everything that is missing, as failures; what the bundle throws where it is damaged
 */
export async function ensureBaseBlobs(target: RegistryTarget, images: readonly PlannedImage[]): Promise<void> {
  const { base } = target.bundle.document;
  if (base === undefined) return;
  const { missing } = await locateBaseBlobs(target, images, base);
  if (missing.length > 0) throw baseMissing(base, target.registry, missing);
}

interface LocatedBlobs {
  /** What is not in the repository that needs it. */
  readonly absent: readonly Need[];
  /** Repositories that have it. */
  readonly holders: ReadonlyMap<Digest, string>;
  /** What none has. */
  readonly missing: readonly Need[];
}

async function locateBaseBlobs(
  target: RegistryTarget,
  images: readonly PlannedImage[],
  base: BundleBase,
): Promise<LocatedBlobs> {
  const { bundle, client, registry, concurrency = defaultConcurrency, signal } = target;
  const holders = new Map<Digest, string>();
  const absent: Need[] = [];
  await forEachLimited(await needsOf(target, images), concurrency, async (need) => {
    throwIfAborted(signal);
    const { repository, blob } = need;
    if (await client.repository(registry, repository).exists(blob, { signal })) holders.set(blob.digest, repository);
    else absent.push(need);
  });
  const unknown = (): readonly Need[] => absent.filter(({ blob }) => !holders.has(blob.digest));
  await forEachLimited(homesOf(base, bundle.document, target), concurrency, async (home) => {
    const wanted = new Set(unknown().map(({ blob }) => blob.digest));
    if (wanted.size === 0) return;
    for (const blob of await blobsIn(home, target)) {
      if (wanted.has(blob.digest)) holders.set(blob.digest, home.repository);
    }
  });
  return { absent, holders, missing: unknown() };
}

/** Each blob once in each repository. */
async function needsOf({ bundle, signal }: RegistryTarget, images: readonly PlannedImage[]): Promise<readonly Need[]> {
  const needs = new Map<string, Need>();
  for (const { repository, root, references } of images) {
    const graph = await collectGraph(bundle, root, { signal });
    for (const blob of graph.blobs) {
      if (await bundle.exists(blob, { signal })) continue;
      const key = `${repository} ${blob.digest}`;
      const need = needs.get(key) ?? { repository, blob, references: new Set<string>() };
      for (const reference of references) need.references.add(reference);
      needs.set(key, need);
    }
  }
  return [...needs.values()];
}

/** Images of the base that the delta does not have any more: other images may share their layers. */
function homesOf(base: BundleBase, document: BundleDocument, projects: TargetProjects): readonly Home[] {
  const { project, packsProject = defaultPacksProject } = projects;
  const charts = [...document.charts, ...base.charts];
  const homes: Home[] = [];
  const add = (content: BundleBase['images'][number], repositoryOf: () => string): void => {
    try {
      homes.push({ repository: repositoryOf(), root: contentDescriptor(content) });
    } catch (error) {
      // What has no place was not loaded.
      if (!isEdgeBundleError(error, 'REFERENCE_INVALID')) throw error;
    }
  };
  for (const image of base.images) add(image, () => targetRepository(project, parseReference(image.reference)));
  for (const chart of base.charts) add(chart, () => targetChart(packsProject, chart).repository);
  for (const attachment of base.attachments) {
    add(attachment, () => {
      const chart = charts.find(({ reference }) => isSameRepository(reference, attachment.reference));
      if (chart !== undefined) return targetChart(packsProject, chart).repository;
      return targetRepository(project, parseReference(attachment.reference));
    });
  }
  return homes;
}

function isSameRepository(one: string, other: string): boolean {
  const [first, second] = [parseReference(one), parseReference(other)];
  return first.registry === second.registry && first.repository === second.repository;
}

/** The blobs that an image has in the registry; none where it is not there, or is no image. */
async function blobsIn({ repository: name, root }: Home, target: RegistryTarget): Promise<readonly Descriptor[]> {
  const { client, registry, signal } = target;
  const repository = client.repository(registry, name);
  try {
    const graph = await collectGraph(repository, root, { signal });
    const there: Descriptor[] = [];
    for (const blob of graph.blobs) if (await repository.exists(blob, { signal })) there.push(blob);
    return there;
  } catch (error) {
    if (isEdgeBundleError(error, 'NOT_FOUND', 'ACCESS_DENIED', 'CONTENT_INVALID', 'UNSUPPORTED')) return [];
    throw error;
  }
}

async function mountAll(
  { client, registry, concurrency = defaultConcurrency, signal }: RegistryTarget,
  needs: readonly Need[],
  holders: ReadonlyMap<Digest, string>,
): Promise<void> {
  const failures: EdgeBundleError[] = [];
  await forEachLimited(needs, concurrency, async ({ repository, blob }) => {
    throwIfAborted(signal);
    const holder = holders.get(blob.digest) ?? repository;
    if (await client.repository(registry, repository).mount(blob, holder, { signal })) return;
    failures.push(
      new EdgeBundleError(
        'UNSUPPORTED',
        `${repository}: ${blob.digest} cannot be mounted from ${holder}, which has it`,
      ),
    );
  });
  if (failures.length === 0) return;
  throw new EdgeBundleError(
    'UNSUPPORTED',
    `${registry} does not mount blobs from one repository into another, which a delta needs`,
    { hint: 'Merge the delta with its base (edge-bundle merge), and load the full bundle.', failures },
  );
}

function baseMissing({ name, digest }: BundleBase, registry: string, missing: readonly Need[]): EdgeBundleError {
  const bytes = new Map(missing.map(({ blob }) => [blob.digest, blob.size]));
  const total = [...bytes.values()].reduce((sum, size) => sum + size, 0);
  const id = bundleId(digest);
  return new EdgeBundleError(
    'BASE_MISSING',
    `${registry} lacks ${bytes.size} of the blobs (${total} bytes) that this delta leaves to its base '${name}', ${id}; nothing was sent`,
    {
      hint: `Load the base first, core-${name}-${id}.tar.zst, into the same project; or merge the two (edge-bundle merge).`,
      failures: missing.map(
        ({ repository, blob: { digest: lacking }, references }) =>
          new EdgeBundleError(
            'BASE_MISSING',
            describeMissing({ kind: 'blob', repository, digest: lacking, references: [...references] }),
          ),
      ),
    },
  );
}
