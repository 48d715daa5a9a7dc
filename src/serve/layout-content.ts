import { access, rm, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { Readable } from 'node:stream';

import pLimit from 'p-limit';

import type { Descriptor } from '../content/descriptor.ts';
import type { Digest } from '../content/digest.ts';
import { fileError } from '../files/file-error.ts';
import { FileLock } from '../files/file-lock.ts';
import { isRepositoryName } from '../oci-client/reference.ts';
import type { LayoutEntry } from '../store/layout-index.ts';
import { LayoutStore } from '../store/layout-store.ts';
import { Catalog, type CatalogEntry } from './catalog.ts';
import { ManifestCache } from './manifest-cache.ts';
import { layoutName, parseLayoutName } from './names.ts';
import type { RegistryContent, RegistryWriter, RepositoryContent } from './registry-content.ts';

export interface LayoutContentOptions {
  /** Whether clients may push. Then the folder is made where there is none, and no other server may write to it. */
  readonly writable: boolean;
}

/**
 * An OCI image layout as the content of a registry. What is pushed is listed in its `index.json` as `repository:tag`, or
 * as `repository@digest`; so the layout stays one that other tools read, and what another program adds appears at once.
 */
export class LayoutContent implements RegistryContent {
  readonly store: LayoutStore;
  readonly writer: RegistryWriter | undefined;
  readonly #lock: FileLock | undefined;
  readonly #manifests: ManifestCache;
  readonly #fallbackRepository: string;
  readonly #oneAtATime = pLimit(1);
  /** Blobs that no manifest names yet. They are forgotten at the end, as an upload that was not finished is. */
  readonly #pushed = new Map<string, Map<Digest, Descriptor>>();
  #read: { readonly version: string; readonly catalog: Catalog } | undefined;

  private constructor(store: LayoutStore, lock: FileLock | undefined) {
    this.store = store;
    this.#lock = lock;
    this.#manifests = new ManifestCache(store);
    this.#fallbackRepository = repositoryOfFolder(store.folder);
    this.writer = lock === undefined ? undefined : this.#makeWriter();
  }

  /** @throws EdgeBundleError CONTENT_INVALID, UNSUPPORTED, FILE_FAILED, NO_SPACE; LOCKED where another server writes */
  static async open(folder: string, options: LayoutContentOptions): Promise<LayoutContent> {
    if (!options.writable) {
      await access(join(folder, 'oci-layout')).catch((error: unknown) => {
        throw fileError(error, `'${folder}' is not an OCI image layout`);
      });
      return new LayoutContent(await LayoutStore.open(folder), undefined);
    }
    const lock = await FileLock.acquire(join(folder, 'serve.lock'));
    try {
      const store = await LayoutStore.open(folder);
      // What a server left that was killed.
      await rm(uploadFolder(folder), { recursive: true, force: true });
      return new LayoutContent(store, lock);
    } catch (error) {
      await lock.release();
      throw fileError(error, `cannot open '${folder}'`);
    }
  }

  async repositories(): Promise<readonly string[]> {
    return (await this.#catalog()).names;
  }

  async repository(name: string): Promise<RepositoryContent | undefined> {
    const listed = (await this.#catalog()).repository(name);
    const pushed = this.#pushed.get(name);
    return pushed === undefined ? listed : new RepositoryWithPushed(listed, pushed);
  }

  async close(): Promise<void> {
    if (this.#lock === undefined) return;
    await rm(uploadFolder(this.store.folder), { recursive: true, force: true });
    await this.#lock.release();
  }

  #makeWriter(): RegistryWriter {
    const addPushed = (repository: string, { mediaType, digest, size }: Descriptor): void => {
      const known = this.#pushed.get(repository) ?? new Map<Digest, Descriptor>();
      this.#pushed.set(repository, known.set(digest, { mediaType, digest, size }));
    };
    return {
      uploadFolder: uploadFolder(this.store.folder),
      addBlob: async (repository, target, path) => {
        await this.store.adopt(target, path);
        addPushed(repository, target);
      },
      mountBlob: (repository, target) => {
        addPushed(repository, target);
        return Promise.resolve();
      },
      putManifest: async (repository, target, bytes, tag) => {
        await this.store.push(target, Readable.from([bytes], { objectMode: false }));
        await this.#oneAtATime(() => this.#list(repository, target, tag));
      },
    };
  }

  async #list(repository: string, target: Descriptor, tag: string | undefined): Promise<void> {
    if (tag === undefined) {
      await this.store.tag(target, layoutName(repository, target.digest));
      return;
    }
    const replaced = (await this.#catalog()).repository(repository)?.resolve(tag);
    // What loses its tag stays in the repository: somebody may hold its digest.
    if (replaced !== undefined && replaced.digest !== target.digest) {
      await this.store.tag(replaced, layoutName(repository, replaced.digest));
    }
    await this.store.tag(target, layoutName(repository, tag));
  }

  /** As `index.json` says now. It is read again when the file has changed. */
  async #catalog(): Promise<Catalog> {
    const version = await this.#indexVersion();
    if (this.#read?.version === version) return this.#read.catalog;
    const entries = await this.store.entries();
    const catalog = new Catalog(catalogEntries(entries, this.#fallbackRepository), this.#manifests);
    this.#read = { version, catalog };
    return catalog;
  }

  async #indexVersion(): Promise<string> {
    const path = join(this.store.folder, 'index.json');
    try {
      const { ino, mtimeNs, size } = await stat(path, { bigint: true });
      return [ino, mtimeNs, size].join('.');
    } catch (error) {
      throw fileError(error, `cannot look at '${path}'`);
    }
  }
}

/** A repository with the blobs that were pushed to it and that no manifest names yet. */
class RepositoryWithPushed implements RepositoryContent {
  readonly #listed: RepositoryContent | undefined;
  readonly #pushed: ReadonlyMap<Digest, Descriptor>;

  constructor(listed: RepositoryContent | undefined, pushed: ReadonlyMap<Digest, Descriptor>) {
    this.#listed = listed;
    this.#pushed = pushed;
  }

  get tags(): readonly string[] {
    return this.#listed?.tags ?? [];
  }

  resolve(tag: string): Descriptor | undefined {
    return this.#listed?.resolve(tag);
  }

  async findManifest(digest: Digest): Promise<Descriptor | undefined> {
    return this.#listed?.findManifest(digest);
  }

  async findBlob(digest: Digest): Promise<Descriptor | undefined> {
    return this.#pushed.get(digest) ?? this.#listed?.findBlob(digest);
  }

  async referrers(digest: Digest): Promise<readonly Descriptor[]> {
    return (await this.#listed?.referrers(digest)) ?? [];
  }
}

/**
 * A name as it is served wins over one whose registry had to be rewritten. The store lists a manifest with a subject
 * once more without a name; such an entry makes no repository of its own.
 */
function catalogEntries(entries: readonly LayoutEntry[], fallbackRepository: string): readonly CatalogEntry[] {
  const named = new Set(entries.flatMap(({ name, descriptor }) => (name === undefined ? [] : [descriptor.digest])));
  const rewritten: CatalogEntry[] = [];
  const exact: CatalogEntry[] = [];
  for (const { name, descriptor } of entries) {
    if (name === undefined && named.has(descriptor.digest)) continue;
    const { repository, tag, isExact } = parseLayoutName(name, fallbackRepository);
    (isExact ? exact : rewritten).push({ repository, tag, target: descriptor });
  }
  return [...rewritten, ...exact];
}

function uploadFolder(folder: string): string {
  return join(folder, 'uploads');
}

function repositoryOfFolder(folder: string): string {
  const name = basename(resolve(folder)).toLowerCase();
  return isRepositoryName(name) ? name : 'layout';
}
