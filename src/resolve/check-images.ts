import pLimit from 'p-limit';

import type { Digest } from '../content/digest.ts';
import type { OperationOptions, Resolver } from '../content/store.ts';
import { combineFailures, type EdgeBundleError, errorMessage, isEdgeBundleError, systemErrorCode } from '../errors.ts';
import { parseReference } from '../oci-client/reference.ts';
import type { NamedImage } from './image-set.ts';

/** Where images are looked up; a RegistryClient is one. */
export interface ImageRegistries {
  repository(registry: string, repository: string): Resolver;
}

/** An image that something names and that its registry does not give. */
export interface MissingImage extends NamedImage {
  readonly reason: string;
}

export interface CheckedImages {
  /** Those that are sure, unchecked and without a digest; and those that exist. */
  readonly images: readonly (NamedImage & { readonly digest?: Digest | undefined })[];
  readonly missing: readonly MissingImage[];
}

export interface CheckOptions extends OperationOptions {
  /** References that are known to exist, and are not asked for. */
  readonly known?: ReadonlyMap<string, unknown> | undefined;
  readonly concurrency?: number | undefined;
}

const defaultConcurrency = 8;

/** Whether nothing says for certain that the cluster asks for the image: it was read from a string, or concluded. */
export function isGuess({ classes }: Pick<NamedImage, 'classes'>): boolean {
  return classes.every((name) => name === 'referenced' || name === 'inferred');
}

/**
 * Asks the registries for the images that are only guesses. One that its registry does not have, or does not show, or
 * whose registry does not exist, is `missing`, with the reason.
 *
 * @throws EdgeBundleError REGISTRY_UNAVAILABLE, TIMEOUT where a registry that exists did not answer; ABORTED
 */
export async function checkImages(
  images: readonly NamedImage[],
  registries: ImageRegistries,
  options: CheckOptions = {},
): Promise<CheckedImages> {
  const { known, concurrency = defaultConcurrency } = options;
  const limit = pLimit(concurrency);
  const found = new Map<string, Digest>();
  const missing: MissingImage[] = [];
  const failures: EdgeBundleError[] = [];
  await Promise.all(
    images
      .filter((image) => isGuess(image) && known?.has(image.reference) !== true)
      .map((image) =>
        limit(async () => {
          const { registry, repository, tag, digest } = parseReference(image.reference);
          try {
            const target = registries.repository(registry, repository);
            found.set(image.reference, (await target.resolve(digest ?? tag ?? 'latest', options)).digest);
          } catch (error) {
            if (!isEdgeBundleError(error) || error.code === 'ABORTED') throw error;
            if (isPassing(error)) failures.push(error.about(image.reference));
            else missing.push({ ...image, reason: errorMessage(error) });
          }
        }),
      ),
  );
  if (failures.length > 0) {
    throw combineFailures('REGISTRY_UNAVAILABLE', `${failures.length} images could not be checked`, failures);
  }
  const gone = new Set(missing.map(({ reference }) => reference));
  return {
    images: images
      .filter(({ reference }) => !gone.has(reference))
      .map((image) => ({ ...image, digest: found.get(image.reference) })),
    missing: images.flatMap(({ reference }) => missing.find((each) => each.reference === reference) ?? []),
  };
}

/** Whether another attempt may go better. A host name that does not exist will not. */
function isPassing(error: EdgeBundleError): boolean {
  if (!isEdgeBundleError(error, 'REGISTRY_UNAVAILABLE', 'TIMEOUT')) return false;
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if (systemErrorCode(cause) === 'ENOTFOUND') return false;
  }
  return true;
}
