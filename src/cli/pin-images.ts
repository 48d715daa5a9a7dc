import type { OperationOptions } from '../content/store.ts';
import { checkImages, type ImageRegistries } from '../resolve/check-images.ts';
import type { NamedImage } from '../resolve/image-set.ts';
import { readLock, writeLock } from '../resolve/lock-file.ts';
import { lockImages } from '../resolve/lock-images.ts';
import type { ResolutionFacts } from './resolve-document.ts';

export interface PinOptions extends OperationOptions {
  /** Whether images that are only guesses are looked up, and left out where they do not exist. */
  readonly check: boolean;
  /** The lock file, where there is to be one. */
  readonly lock: string | undefined;
}

/** Asks the registries what the options want to know, and writes the lock file. */
export async function pinImages(
  images: readonly NamedImage[],
  registries: ImageRegistries,
  { check, lock: path, signal }: PinOptions,
): Promise<ResolutionFacts> {
  const before = (path === undefined ? undefined : await readLock(path)) ?? new Map<string, never>();
  const checked = check ? await checkImages(images, registries, { known: before, signal }) : { images, missing: [] };
  if (path === undefined) return { ...checked, moved: [] };
  const references = checked.images.map(({ reference }) => reference);
  const { lock, moved } = await lockImages(references, before, registries, { signal });
  await writeLock(path, lock);
  return {
    images: checked.images.map((image) => ({ ...image, digest: lock.get(image.reference) })),
    missing: checked.missing,
    moved,
  };
}
