import { stringify } from 'yaml';
import { z } from 'zod';

import { EdgeBundleError } from '../errors.ts';

/** An image that a bundle was made without, and where its pods run. */
export interface LeftOutImage {
  readonly reference: string;
  readonly namespaces: readonly string[];
}

/** RFC 1123 label: what Kubernetes takes as the name of a namespace. */
const namespaceSchema = z.string().regex(/^(?=.{1,63}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/, {
  error: 'expected the name of a namespace',
});

const resolutionSchema = z.object({
  excluded: z.array(z.object({ reference: z.string(), namespaces: z.array(namespaceSchema) })),
});

/**
 * What was left out, as the JSON of `resolve` and of `build` tells it.
 *
 * @param path for messages
 * @throws EdgeBundleError CONFIG_INVALID
 */
export function parseLeftOut(text: string, path: string): readonly LeftOutImage[] {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw new EdgeBundleError('CONFIG_INVALID', `'${path}' is not JSON`, { cause });
  }
  const result = resolutionSchema.safeParse(document);
  if (result.success) return result.data.excluded;
  const { path: place = [], message = '' } = result.error.issues[0] ?? {};
  throw new EdgeBundleError('CONFIG_INVALID', `'${path}': at '${place.join('.')}': ${message}`, {
    hint: "It is what 'edge-bundle resolve' or 'build' writes with --output json.",
  });
}

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
