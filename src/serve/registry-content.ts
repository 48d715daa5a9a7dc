import type { Descriptor } from '../content/descriptor.ts';
import type { Digest } from '../content/digest.ts';
import type { ReadOnlyContentStore } from '../content/store.ts';

/**
 * What a registry server serves: content, seen through repositories. Names, tags and digests have been checked against
 * the grammar of OCI distribution-spec v1.1 before they come here.
 */
export interface RegistryContent {
  readonly store: ReadOnlyContentStore;
  /** Undefined where the content is read-only. */
  readonly writer: RegistryWriter | undefined;
  /** The names of all repositories, in any order. */
  repositories(): Promise<readonly string[]>;
  repository(name: string): Promise<RepositoryContent | undefined>;
  /** Releases what this object took itself; not a store that was given to it. */
  close(): Promise<void>;
}

/** One repository: only what was put into it, or can be reached from that, is visible. */
export interface RepositoryContent {
  readonly tags: readonly string[];
  /** What a tag names. */
  resolve(tag: string): Descriptor | undefined;
  /** A manifest that is visible here. The store may still lack it: an index may name what was never put there. */
  findManifest(digest: Digest): Promise<Descriptor | undefined>;
  /** A blob that is visible here. The store may still lack it. */
  findBlob(digest: Digest): Promise<Descriptor | undefined>;
  /** The manifests whose subject is `digest`, as OCI distribution-spec v1.1 wants them ("Listing Referrers"). */
  referrers(digest: Digest): Promise<readonly Descriptor[]>;
}

export interface RegistryWriter {
  /** Where uploads are collected: a folder on the store's file system. */
  readonly uploadFolder: string;
  /** Makes a file, whose bytes have been verified, into a blob of the repository. The file is moved or removed. */
  addBlob(repository: string, target: Descriptor, path: string): Promise<void>;
  /** Makes a blob that the store has visible in one more repository. */
  mountBlob(repository: string, target: Descriptor): Promise<void>;
  /** Adds a manifest, under a tag where one is given. What it names has been checked. */
  putManifest(repository: string, target: Descriptor, bytes: Buffer, tag: string | undefined): Promise<void>;
}
