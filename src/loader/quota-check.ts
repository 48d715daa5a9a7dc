import type { BundleDocument } from '../bundle/bundle-document.ts';
import type { Descriptor } from '../content/descriptor.ts';
import { collectGraph } from '../content/graph.ts';
import type { OperationOptions } from '../content/store.ts';
import { forEachLimited } from '../copy/for-each-limited.ts';
import { EdgeBundleError, isEdgeBundleError, throwIfAborted } from '../errors.ts';
import type { PlannedImage } from './load-plan.ts';
import { isInRepository } from './registry-questions.ts';
import { defaultConcurrency, type RegistryTarget } from './verify-registry.ts';

/** What a project may hold, in bytes. */
export interface ProjectSpace {
  /** Undefined: no limit. */
  readonly hardBytes?: number | undefined;
  readonly usedBytes: number;
}

/** Knows how much a project may hold: `HarborClient`. */
export interface QuotaHost {
  projectQuota(name: string, options: OperationOptions): Promise<ProjectSpace | undefined>;
}

/** What a project has to take in, and what it can. */
export interface SpaceNeeded {
  readonly project: string;
  /** What the registry does not have yet, each content once. */
  readonly neededBytes: number;
  readonly freeBytes: number;
}

/**
 * Compares what each project has to take in with what its quota leaves, before anything is sent. Content counts once in a project,
 * manifests too; what one of its repositories has already counts no more. Nothing is asked about where there is no limit, or
 * room for all of the bundle.
 *
 * @returns the projects whose quota is limited; a project whose quota this user may not see is left out
 * @throws EdgeBundleError QUOTA_EXCEEDED with the numbers of each project that is too small
 */
export async function ensureQuota(
  target: RegistryTarget,
  images: readonly PlannedImage[],
  host: QuotaHost,
): Promise<readonly SpaceNeeded[]> {
  const spaces: SpaceNeeded[] = [];
  for (const [project, its] of byProject(images)) {
    const freeBytes = await freeBytesOf(project, host, target);
    if (freeBytes === undefined) continue;
    const isRoomy = totalBytes(target.bundle.document) <= freeBytes;
    spaces.push({ project, neededBytes: isRoomy ? 0 : await neededBytes(target, its), freeBytes });
  }
  const failures = spaces
    .filter(({ neededBytes: needed, freeBytes }) => needed > freeBytes)
    .map((space) => tooSmall(target.registry, space));
  const [first] = failures;
  if (first === undefined) return spaces;
  if (failures.length === 1) throw first;
  throw new EdgeBundleError('QUOTA_EXCEEDED', `the quotas of ${failures.length} projects are too small`, { failures });
}

/** Of all that `images` have and their project has not, each content once; in bytes. */
async function neededBytes(target: RegistryTarget, images: readonly PlannedImage[]): Promise<number> {
  const { bundle, client, registry, harbor: artifacts, concurrency = defaultConcurrency, signal } = target;
  /** Where a content of the project may be. */
  const places = new Map<string, { readonly content: Descriptor; readonly repositories: Set<string> }>();
  for (const { repository, root } of images) {
    const { manifests, blobs } = await collectGraph(bundle, root, { signal });
    for (const content of [...manifests.map(({ descriptor }) => descriptor), ...blobs]) {
      const place = places.get(content.digest) ?? { content, repositories: new Set() };
      places.set(content.digest, place);
      place.repositories.add(repository);
    }
  }
  let bytes = 0;
  await forEachLimited(places.values(), concurrency, async ({ content, repositories }) => {
    throwIfAborted(signal);
    for (const name of repositories) {
      if (await isInRepository(client.repository(registry, name), content, { artifacts, signal })) return;
    }
    bytes += content.size;
  });
  return bytes;
}

async function freeBytesOf(project: string, host: QuotaHost, { signal }: RegistryTarget): Promise<number | undefined> {
  try {
    const quota = await host.projectQuota(project, { signal });
    return quota?.hardBytes === undefined ? undefined : Math.max(0, quota.hardBytes - quota.usedBytes);
  } catch (error) {
    // Not everybody who may push may see it. Whether it suffices turns out then.
    if (isEdgeBundleError(error, 'ACCESS_DENIED', 'HARBOR_ERROR')) return undefined;
    throw error;
  }
}

function byProject(images: readonly PlannedImage[]): ReadonlyMap<string, readonly PlannedImage[]> {
  const groups = new Map<string, PlannedImage[]>();
  for (const image of images) {
    const project = image.repository.split('/')[0] ?? '';
    groups.set(project, [...(groups.get(project) ?? []), image]);
  }
  return groups;
}

function totalBytes({ blobs }: BundleDocument): number {
  return blobs.reduce((sum, { size }) => sum + size, 0);
}

function tooSmall(registry: string, { project, neededBytes: needed, freeBytes }: SpaceNeeded): EdgeBundleError {
  return new EdgeBundleError(
    'QUOTA_EXCEEDED',
    `${registry}/${project}: the quota has ${freeBytes} bytes left, and the load needs ${needed}: ${needed - freeBytes} too few`,
    {
      hint: "Raise the project's quota in Harbor by that much at least, or remove what it no longer needs. Nothing was sent.",
    },
  );
}
