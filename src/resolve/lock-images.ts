import pLimit from 'p-limit';

import type { Digest } from '../content/digest.ts';
import type { OperationOptions } from '../content/store.ts';
import { combineFailures, type EdgeBundleError, isEdgeBundleError } from '../errors.ts';
import { parseReference } from '../oci-client/reference.ts';
import type { ImageRegistries } from './check-images.ts';
import type { Lock, MovedReference } from './lock-file.ts';

export interface LockedImages {
  /** Each reference with the digest that it stands for: the locked one where there is one. */
  readonly lock: Lock;
  readonly moved: readonly MovedReference[];
}

const concurrency = 8;

/**
 * Pins references to digests: those of `lock` stay as they are, new ones are looked up, and those that nothing asks for
 * any more are dropped. What a tag stands for now is compared with the lock.
 *
 * @throws EdgeBundleError with all failures together; NOT_FOUND, AUTH_FAILED, … for a reference that is not in the lock;
 *   ABORTED
 */
export async function lockImages(
  references: readonly string[],
  lock: Lock,
  registries: ImageRegistries,
  options: OperationOptions = {},
): Promise<LockedImages> {
  const limit = pLimit(concurrency);
  const digests = new Map<string, Digest>();
  const moved: MovedReference[] = [];
  const failures: EdgeBundleError[] = [];
  await Promise.all(
    references.map((reference) =>
      limit(async () => {
        const { registry, repository, tag, digest } = parseReference(reference);
        if (digest !== undefined) return;
        const locked = lock.get(reference);
        if (locked !== undefined) digests.set(reference, locked);
        try {
          const found = (await registries.repository(registry, repository).resolve(tag ?? 'latest', options)).digest;
          if (locked === undefined) digests.set(reference, found);
          else if (found !== locked) moved.push({ reference, locked, found });
        } catch (error) {
          if (!isEdgeBundleError(error) || error.code === 'ABORTED') throw error;
          // What is locked is fetched by its digest: the tag may be gone.
          if (locked === undefined) failures.push(error.about(reference));
        }
      }),
    ),
  );
  if (failures.length > 0) {
    throw combineFailures('CONTENT_MISSING', `${failures.length} images cannot be locked`, failures);
  }
  return {
    lock: new Map(references.flatMap((reference) => pair(reference, digests.get(reference)))),
    moved: references.flatMap((reference) => moved.find((each) => each.reference === reference) ?? []),
  };
}

function pair(reference: string, digest: Digest | undefined): [string, Digest][] {
  return digest === undefined ? [] : [[reference, digest]];
}
