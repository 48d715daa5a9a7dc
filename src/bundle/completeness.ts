import type { Digest } from '../content/digest.ts';
import { collectGraph, type Graph } from '../content/graph.ts';
import type { OperationOptions, ReadOnlyContentStore } from '../content/store.ts';
import { EdgeBundleError, isEdgeBundleError, throwIfAborted } from '../errors.ts';
import {
  type BundleBase,
  type BundleDocument,
  type BundleFile,
  contentDescriptor,
  namedContents,
} from './bundle-document.ts';

/** A bundle whose content can be read. */
export interface OpenedBundle extends ReadOnlyContentStore {
  readonly document: BundleDocument;
}

/**
 * What the images, charts, attachments and files of a bundle need and is neither in it nor, but for files, among what its base
 * has to have; what is expected of the base and nothing needs; and manifests that are damaged.
 *
 * @throws EdgeBundleError FILE_FAILED where the media cannot be read, ABORTED
 */
export async function findIncomplete(
  bundle: OpenedBundle,
  { signal }: OperationOptions = {},
): Promise<readonly EdgeBundleError[]> {
  const { document } = bundle;
  const expected = new Map(document.base?.blobs.map(({ digest, size }) => [digest, size]));
  const unneeded = new Set(expected.keys());
  const files = new Map<unknown, BundleFile>(document.files?.map((file) => [file, file]));
  const failures: EdgeBundleError[] = [];
  for (const content of namedContents(document)) {
    throwIfAborted(signal);
    const file = files.get(content);
    try {
      const graph = await collectGraph(bundle, contentDescriptor(content), { signal });
      if (file !== undefined) ensureOneFile(file, graph);
      for (const blob of graph.blobs) {
        if (await bundle.exists(blob)) continue;
        // Files are taken out of the bundle, where no base is at hand.
        const isExpected = file === undefined && expected.get(blob.digest) === blob.size;
        if (!isExpected) throw lacks(content.reference, blob.digest, document.base);
        unneeded.delete(blob.digest);
      }
    } catch (error) {
      if (!isEdgeBundleError(error) || isEdgeBundleError(error, 'FILE_FAILED', 'ABORTED')) throw error;
      failures.push(error);
    }
  }
  // What is not known about one image could be what another failure hides.
  if (failures.length > 0) return failures;
  return [...unneeded].map(
    (digest) => new EdgeBundleError('BUNDLE_INVALID', `${digest} is expected of the base, and nothing needs it`),
  );
}

function ensureOneFile({ name, content }: BundleFile, { manifests }: Graph): void {
  const layers = manifests.map(({ manifest }) => (manifest.kind === 'manifest' ? manifest.layers : []));
  const [layer, ...others] = layers.flat();
  if (layers.length === 1 && others.length === 0 && layer?.digest === content.digest && layer.size === content.size)
    return;
  throw new EdgeBundleError('BUNDLE_INVALID', `the manifest of the file '${name}' does not have it as its one layer`);
}

function lacks(reference: string, digest: Digest, base: BundleBase | undefined): EdgeBundleError {
  const where = base === undefined ? 'in the bundle' : `in the bundle, nor expected of its base '${base.name}'`;
  return new EdgeBundleError('CONTENT_MISSING', `${reference} needs ${digest}, which is not ${where}`);
}
