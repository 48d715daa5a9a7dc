import { findImages, type FoundImage } from '../../src/discovery/find-images.ts';
import { readManifests } from '../../src/discovery/read-manifests.ts';

/** What is found in manifests, all documents together. */
export function findIn(yaml: string): FoundImage[] {
  const { documents, problems } = readManifests(yaml, 'a test');
  if (problems[0] !== undefined) throw problems[0];
  return documents.flatMap(({ value }) => findImages(value));
}

/** The same as `class image path`, without notes. */
export function linesOf(found: readonly FoundImage[]): string[] {
  return found.map(({ class: itsClass, image, path }) => `${itsClass} ${image} ${path}`);
}

/** A container's arguments or environment in a Deployment. */
export function deploymentWith(container: Readonly<Record<string, unknown>>): unknown {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'operator' },
    spec: {
      template: { spec: { containers: [{ name: 'operator', image: 'ghcr.io/org/operator:1.0', ...container }] } },
    },
  };
}

/** What a container's arguments or environment name, besides its own image. */
export function findInContainer(container: Readonly<Record<string, unknown>>): FoundImage[] {
  return findImages(deploymentWith(container)).filter(({ class: itsClass }) => itsClass !== 'rendered');
}

/** Text for a ConfigMap's `data`, under the key `file`. */
export function findInData(text: string, key = 'file'): FoundImage[] {
  return findImages({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'config' }, data: { [key]: text } });
}

/** A custom resource of a kind that nobody knows. */
export function findInSpec(spec: unknown): FoundImage[] {
  return findImages({ apiVersion: 'example.org/v1', kind: 'Thing', metadata: { name: 'thing' }, spec });
}
