import type { PathStep } from './path.ts';
import { isPlainObject } from './plain-object.ts';

/** A field that names an image in the specification of a pod. */
export interface PodImage {
  /** From the list to the field: `[0, 'image']`. */
  readonly path: readonly PathStep[];
  /** A string, where the object is well-formed. */
  readonly image: unknown;
}

const fields: ReadonlyMap<string, readonly string[]> = new Map([
  ['containers', ['image']],
  ['initContainers', ['image']],
  ['ephemeralContainers', ['image']],
  ['volumes', ['image', 'reference']],
]);

/**
 * The images that `list` runs or mounts, where it stands under `key` in a pod's specification: containers, init
 * containers, ephemeral containers and image volumes (Kubernetes API v1.33, PodSpec). Fields that are absent or empty
 * are left out: controllers fill them in.
 */
export function podImages(key: string, list: readonly unknown[]): PodImage[] {
  const field = fields.get(key);
  if (field === undefined) return [];
  const found: PodImage[] = [];
  for (const [index, item] of list.entries()) {
    let image: unknown = item;
    for (const name of field) image = isPlainObject(image) ? image[name] : undefined;
    if (image !== undefined && image !== null && image !== '') found.push({ path: [index, ...field], image });
  }
  return found;
}
