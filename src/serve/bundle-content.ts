import { type BundleDocument, contentDescriptor } from '../bundle/bundle-document.ts';
import type { ReadOnlyContentStore } from '../content/store.ts';
import { EdgeBundleError } from '../errors.ts';
import { parseReference } from '../oci-client/reference.ts';
import { Catalog, type CatalogEntry } from './catalog.ts';
import { ManifestCache } from './manifest-cache.ts';
import { servedRepository } from './names.ts';
import type { RegistryContent, RepositoryContent } from './registry-content.ts';

/** A content bundle, as a `BundleReader` opens it. */
export type ServedBundle = ReadOnlyContentStore & { readonly document: BundleDocument };

/**
 * A bundle as the content of a registry, read in place. An image is served in a repository that starts with its
 * registry: `docker.io/library/nginx`, `localhost-5000/app`. The bundle stays the caller's to close.
 */
export class BundleContent implements RegistryContent {
  readonly store: ReadOnlyContentStore;
  readonly writer = undefined;
  readonly #catalog: Catalog;

  /** @throws EdgeBundleError UNSUPPORTED where two images would be served under one name, REFERENCE_INVALID */
  constructor(bundle: ServedBundle) {
    this.store = bundle;
    this.#catalog = new Catalog(entriesOf(bundle.document), new ManifestCache(bundle));
  }

  repositories(): Promise<readonly string[]> {
    return Promise.resolve(this.#catalog.names);
  }

  repository(name: string): Promise<RepositoryContent | undefined> {
    return Promise.resolve(this.#catalog.repository(name));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** References with tag and digest come first: a reference by the tag alone says better what the tag names. */
function entriesOf(document: BundleDocument): readonly CatalogEntry[] {
  const pinned: CatalogEntry[] = [];
  const tagged = new Map<string, CatalogEntry>();
  for (const item of [...document.images, ...document.charts]) {
    const reference = parseReference(item.reference);
    const entry = { repository: servedRepository(reference), tag: reference.tag, target: contentDescriptor(item) };
    if (reference.tag === undefined || reference.digest !== undefined) {
      pinned.push(entry);
      continue;
    }
    const name = `${entry.repository}:${reference.tag}`;
    const other = tagged.get(name);
    if (other !== undefined && other.target.digest !== item.digest) {
      throw new EdgeBundleError(
        'UNSUPPORTED',
        `'${item.reference}' and another image would both be served as '${name}'`,
        {
          hint: 'Their registries differ in punctuation only; carry them in two bundles.',
        },
      );
    }
    tagged.set(name, entry);
  }
  return [...pinned, ...tagged.values()];
}
