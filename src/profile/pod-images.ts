import { formatPath } from './problems.ts';

/** A place in a Kubernetes object that names an image. */
export interface ImageField {
  /** `spec.template.spec.containers[0].image` */
  readonly path: string;
  /** A string, where the object is well-formed. */
  readonly image: unknown;
}

const containerLists: ReadonlySet<string> = new Set(['containers', 'initContainers', 'ephemeralContainers']);

/**
 * Every image that `object` runs or mounts: containers, init containers, ephemeral containers and image volumes
 * (Kubernetes API v1.33, PodSpec), wherever a pod's specification stands in it: pods, workloads, CronJobs, lists,
 * templates in custom resources. Fields that are absent or empty are left out: controllers fill them in.
 */
export function findPodImages(object: unknown): ImageField[] {
  const found: ImageField[] = [];
  visit(object, [], found);
  return found;
}

function visit(value: unknown, path: readonly (string | number)[], found: ImageField[]): void {
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) visit(item, [...path, index], found);
    return;
  }
  if (!isObject(value)) return;
  for (const [key, member] of Object.entries(value)) {
    if (Array.isArray(member)) {
      const field = containerLists.has(key) ? ['image'] : key === 'volumes' ? ['image', 'reference'] : undefined;
      if (field !== undefined) collect(member, field, [...path, key], found);
    }
    visit(member, [...path, key], found);
  }
}

function collect(
  items: readonly unknown[],
  field: readonly string[],
  path: readonly (string | number)[],
  found: ImageField[],
): void {
  for (const [index, item] of items.entries()) {
    let image: unknown = item;
    for (const key of field) image = isObject(image) ? image[key] : undefined;
    if (image === undefined || image === null || image === '') continue;
    found.push({ path: formatPath([...path, index, ...field]), image });
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
