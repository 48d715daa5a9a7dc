import { type BundleDocument, contentDescriptor, namedContents } from '../bundle/bundle-document.ts';
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

  /** @throws EdgeBundleError REFERENCE_INVALID where two repositories would be served under one name */
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
  const tagged: CatalogEntry[] = [];
  const origins = new Map<string, string>();
  for (const item of namedContents(document)) {
    const reference = parseReference(item.reference);
    const { registry, tag, digest } = reference;
    const repository = servedRepository(reference);
    const origin = `${registry}/${reference.repository}`;
    const other = origins.get(repository) ?? origin;
    if (other !== origin) throw sharedName(repository, origin, other);
    origins.set(repository, origin);
    const isByTag = tag !== undefined && digest === undefined;
    (isByTag ? tagged : pinned).push({ repository, tag, target: contentDescriptor(item) });
  }
  return [...pinned, ...tagged];
}

function sharedName(repository: string, origin: string, other: string): EdgeBundleError {
  return new EdgeBundleError(
    'REFERENCE_INVALID',
    `'${origin}' and '${other}' would both be served as '${repository}'`,
    {
      hint: 'Carry one of them in a bundle of its own.',
    },
  );
}
