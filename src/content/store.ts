import type { Readable } from 'node:stream';

import type { Descriptor } from './descriptor.ts';

/** Every long operation takes a signal; aborting it ends the operation with an ABORTED error. */
export interface OperationOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Bytes `start` up to, but not including, `end` of the content. `end` defaults to the content's size. */
export interface ByteRange {
  readonly start: number;
  readonly end?: number | undefined;
}

export interface FetchOptions extends OperationOptions {
  readonly range?: ByteRange | undefined;
}

export interface PushOptions extends OperationOptions {
  /**
   * Where `content` starts, in bytes; the store has everything before it already. Only for a store that is
   * `Resumable`, with the offset that it named.
   */
  readonly offset?: number | undefined;
  /** The caller has just seen that the store does not have it: it need not be asked again. */
  readonly isAbsent?: boolean | undefined;
}

/** Reads content by its descriptor. */
export interface Fetcher {
  /**
   * The bytes of `target`, or of a range of it. They are **not** verified: whoever keeps them verifies them
   * (`push` always does; `readContent` does for content that is held in memory).
   *
   * @throws EdgeBundleError NOT_FOUND where the store does not have it; the stream may still fail later
   */
  fetch(target: Descriptor, options?: FetchOptions): Promise<Readable>;
}

export interface ReadOnlyContentStore extends Fetcher {
  exists(target: Descriptor, options?: OperationOptions): Promise<boolean>;
}

export interface ContentStore extends ReadOnlyContentStore {
  /**
   * Stores `content` under `expected`. Idempotent: content that is there already is not an error, and `content` is
   * destroyed unread. Size and digest are verified, always; content that does not match never becomes visible.
   * `content` is consumed or destroyed in every case.
   *
   * @throws EdgeBundleError SIZE_MISMATCH, DIGEST_MISMATCH
   */
  push(expected: Descriptor, content: Readable, options?: PushOptions): Promise<void>;
}

/** Turns a name into a descriptor. */
export interface Resolver {
  /** @throws EdgeBundleError NOT_FOUND */
  resolve(reference: string, options?: OperationOptions): Promise<Descriptor>;
}

export interface NamedManifest {
  readonly descriptor: Descriptor;
  /** Not verified; undefined where it has to be fetched by its digest. */
  readonly bytes: Buffer | undefined;
}

/** Optional power: what a name stands for, and its content, are asked for together. */
export interface ManifestReader {
  /** @throws EdgeBundleError NOT_FOUND */
  readManifest(reference: string, options?: OperationOptions): Promise<NamedManifest>;
}

/** Gives a name to content that the store has. A name that exists moves. */
export interface Tagger {
  tag(target: Descriptor, reference: string, options?: OperationOptions): Promise<void>;
}

/** Optional power: content of another repository of the same registry becomes content of this one without an upload. */
export interface Mounter {
  /** False where the registry would not mount; nothing has changed then, and the caller pushes. */
  mount(target: Descriptor, fromRepository: string, options?: OperationOptions): Promise<boolean>;
  /** The repository's name as `mount` of another repository of the registry wants it. */
  readonly repositoryName: string;
  /** Repositories with the same scope can mount from each other. */
  readonly mountScope: string;
}

export interface ReferrersOptions extends OperationOptions {
  /** All tags of the repository, where the caller has them: a list that would be kept under another tag is not asked for. */
  readonly knownTags?: ReadonlySet<string> | undefined;
}

/** Optional power: what refers to content through its `subject` (OCI distribution-spec v1.1, "Listing Referrers"). */
export interface Referrers {
  referrers(target: Descriptor, options?: ReferrersOptions): Promise<readonly Descriptor[]>;
}

/** Optional power: all names that are in use. */
export interface TagLister {
  /** @throws EdgeBundleError NOT_FOUND where nothing is known of such a place */
  tags(options?: OperationOptions): Promise<readonly string[]>;
}

/** Optional power: a push that was interrupted can go on in the middle. */
export interface Resumable {
  /** How many bytes of `target` the store has from an interrupted push; 0 where none. */
  resumeOffset(target: Descriptor, options?: OperationOptions): Promise<number>;
}

export function isMounter(store: object): store is Mounter {
  return 'mount' in store && typeof store.mount === 'function';
}

export function isManifestReader(store: object): store is ManifestReader {
  return 'readManifest' in store && typeof store.readManifest === 'function';
}

export function isReferrers(store: object): store is Referrers {
  return 'referrers' in store && typeof store.referrers === 'function';
}

export function isTagLister(store: object): store is TagLister {
  return 'tags' in store && typeof store.tags === 'function';
}

export function isResumable(store: object): store is Resumable {
  return 'resumeOffset' in store && typeof store.resumeOffset === 'function';
}
