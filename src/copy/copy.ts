import type { Descriptor } from '../content/descriptor.ts';
import type { ContentStore, Fetcher, Resolver, Tagger } from '../content/store.ts';
import { Copier, type CopierOptions, type CopyGraphOptions } from './copier.ts';

export interface CopyOptions extends CopierOptions, CopyGraphOptions {
  /** The name in the target. Default: the name in the source. */
  readonly newReference?: string | undefined;
}

/**
 * Copies an image, index or artifact by its name: resolves it, copies all that is reachable from it, tags it.
 *
 * @returns what was copied
 * @throws EdgeBundleError NOT_FOUND, ABORTED, and what the stores throw
 */
export async function copy(
  source: Fetcher & Resolver,
  reference: string,
  target: ContentStore & Tagger,
  options: CopyOptions = {},
): Promise<Descriptor> {
  const { newReference = reference, signal } = options;
  const root = await source.resolve(reference, { signal });
  await new Copier(options).copyGraph(source, target, root, options);
  await target.tag(root, newReference, { signal });
  return root;
}
