import type { Readable } from 'node:stream';

import { type BundleDocument, bundleId } from '../bundle/bundle-document.ts';
import type { Descriptor } from '../content/descriptor.ts';
import type { Digest } from '../content/digest.ts';
import type { FetchOptions, ReadOnlyContentStore } from '../content/store.ts';
import { EdgeBundleError } from '../errors.ts';

/** A bundle that was opened; a `BundleReader` is one. */
export interface ChainedBundle extends ReadOnlyContentStore {
  readonly document: BundleDocument;
  readonly id: string;
  readonly digest: Digest;
  readonly paths: readonly string[];
}

/** A full bundle and the deltas on it, each on the one before it, as one store: together they have all that the last one needs. */
export class BundleChain implements ReadOnlyContentStore {
  /** The newest first: it is nearest to what is asked for. */
  readonly #bundles: readonly ChainedBundle[];
  /** Of the last delta. */
  readonly document: BundleDocument;

  /**
   * @throws EdgeBundleError BASE_MISSING where the first is a delta itself, or one that does not build on the one before it;
   *   CONFIG_INVALID where another one is a full bundle
   */
  constructor(base: ChainedBundle, deltas: readonly ChainedBundle[]) {
    ensureChain(base, deltas);
    this.#bundles = [base, ...deltas].reverse();
    this.document = (deltas.at(-1) ?? base).document;
  }

  async exists(target: Descriptor): Promise<boolean> {
    return (await this.#holderOf(target)) !== undefined;
  }

  async fetch(target: Descriptor, options: FetchOptions = {}): Promise<Readable> {
    const holder = await this.#holderOf(target);
    if (holder !== undefined) return holder.fetch(target, options);
    const { digest, size } = target;
    throw new EdgeBundleError('CONTENT_MISSING', `none of the bundles has ${digest} with ${size} bytes`, {
      hint: 'Verify each of them: one is not as it was built.',
    });
  }

  async #holderOf(target: Descriptor): Promise<ChainedBundle | undefined> {
    for (const bundle of this.#bundles) if (await bundle.exists(target)) return bundle;
    return undefined;
  }
}

function ensureChain(base: ChainedBundle, deltas: readonly ChainedBundle[]): void {
  const basis = base.document.base;
  if (basis !== undefined) {
    throw new EdgeBundleError(
      'BASE_MISSING',
      `${nameOf(base)} is a delta; the bundle that it builds on, '${basis.name}' ${bundleId(basis.digest)}, has to come first`,
      { hint: 'Name a full bundle first, and then the deltas in the order in which they were built.' },
    );
  }
  let previous = base;
  for (const delta of deltas) {
    ensureBuiltOn(delta, previous, [base, ...deltas]);
    previous = delta;
  }
}

function ensureBuiltOn(delta: ChainedBundle, previous: ChainedBundle, all: readonly ChainedBundle[]): void {
  const { base } = delta.document;
  if (base === undefined) {
    throw new EdgeBundleError('CONFIG_INVALID', `${nameOf(delta)} is a full bundle, and needs no other one`, {
      hint: 'Only the first bundle is a full one; deltas follow it.',
    });
  }
  if (base.digest === previous.digest) return;
  const known = all.find(({ digest }) => digest === base.digest);
  const wanted = known === undefined ? `'${base.name}' ${bundleId(base.digest)}` : nameOf(known);
  throw new EdgeBundleError(
    'BASE_MISSING',
    `${nameOf(delta)} builds on ${wanted}, and not on ${nameOf(previous)}, which comes before it`,
    {
      hint:
        known === undefined
          ? 'It belongs to another base, or a delta between the two is missing.'
          : 'Name the deltas in the order in which they were built.',
    },
  );
}

function nameOf({ id, paths }: ChainedBundle): string {
  return `'${paths[0] ?? 'a bundle'}' (${id})`;
}
