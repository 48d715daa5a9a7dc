import type { FoundImage } from './found-image.ts';
import { ImageFinder } from './image-finder.ts';

export type { FoundImage } from './found-image.ts';

/**
 * Every image that a Kubernetes object names: a core kind, a custom resource, a definition of one, or a list of objects.
 * `object` is a tree, as JSON is: below 200 levels, and after a million values or ten thousand images, nothing
 * is looked at. It never throws.
 */
export function findImages(object: unknown): FoundImage[] {
  const finder = new ImageFinder();
  finder.visit('', object, {});
  return finder.found;
}
