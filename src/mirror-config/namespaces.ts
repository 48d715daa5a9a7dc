import { stringify } from 'yaml';

import type { LeftOutImage } from '../bundle/left-out.ts';

/** The namespaces of `images`, each once, sorted. */
export function namespacesOf(images: readonly LeftOutImage[]): readonly string[] {
  return [...new Set(images.flatMap(({ namespaces }) => namespaces))].sort();
}

/** A manifest that lets the agent leave the images of these namespaces where they are. */
export function namespaceManifest(namespaces: readonly string[]): string {
  const documents = namespaces.map((name) =>
    stringify({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name, labels: { 'stylus.io/imageswap': 'disable' } },
    }),
  );
  return documents.join('---\n');
}
