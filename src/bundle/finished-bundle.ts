import type { Digest } from '../content/digest.ts';
import type { OperationOptions } from '../content/store.ts';
import { isEdgeBundleError } from '../errors.ts';
import { BundleReader } from './bundle-reader.ts';
import type { BundlePath } from './bundle-path.ts';
import { writeParts } from './write-parts.ts';

/** A bundle that is there: its file, or the first of its parts, and the size of all. */
export interface FinishedBundle {
  readonly path: string;
  readonly bytes: number;
}

export interface FindFinishedOptions extends OperationOptions {
  /** It is cut into parts of this size, where it is not yet. */
  readonly partBytes?: number | undefined;
}

/** The bundle where it is there already, and sound as far as opening it tells. */
export async function findFinished(
  { path, digest }: BundlePath,
  { partBytes, signal }: FindFinishedOptions = {},
): Promise<FinishedBundle | undefined> {
  const found = await openFinished(path, digest);
  if (found === undefined || partBytes === undefined) return found;
  const { paths, bytes } = await writeParts(found.path, { partBytes, signal });
  return { path: paths[0] ?? path, bytes };
}

async function openFinished(path: string, digest: Digest): Promise<FinishedBundle | undefined> {
  try {
    const bundle = await BundleReader.open(path);
    await bundle.close();
    return bundle.digest === digest ? { path: bundle.paths[0] ?? path, bytes: bundle.bytes } : undefined;
  } catch (error) {
    if (isEdgeBundleError(error)) return undefined;
    throw error;
  }
}
