import type { Readable } from 'node:stream';

import * as z from 'zod';

import type { Descriptor } from '../content/descriptor.ts';
import { digestOf } from '../content/digest.ts';
import { listOf } from '../content/list-schema.ts';
import { isManifest, mediaTypes } from '../content/media-types.ts';
import type {
  ContentStore,
  FetchOptions,
  ManifestReader,
  Mounter,
  NamedManifest,
  OperationOptions,
  PushOptions,
  Referrers,
  ReferrersOptions,
  Resolver,
  Tagger,
  TagLister,
} from '../content/store.ts';
import { EdgeBundleError } from '../errors.ts';
import { contentExists, fetchContent } from './fetch-content.ts';
import { pushManifest, readManifest, resolveManifest, tagManifest } from './manifests.ts';
import { readPages } from './pages.ts';
import { isTag } from './reference.ts';
import { ReferrersIndex } from './referrers-index.ts';
import type { RepositoryAccess } from './repository-access.ts';
import { putManifest } from './put-manifest.ts';
import { mountBlob, uploadBlob, type UploadOptions } from './upload-blob.ts';
import { cancelUpload, UploadSession } from './upload-session.ts';

export interface RepositoryOptions {
  /** Blobs are pushed in parts of this size, in bytes. Default: each in one piece. */
  readonly chunkBytes?: number | undefined;
}

const tagsSchema = z.object({ tags: listOf(z.string()).nullish() });

/**
 * One repository of a registry (OCI distribution-spec v1.1) as a store. All methods throw EdgeBundleErrors: NOT_FOUND,
 * AUTH_FAILED, ACCESS_DENIED, TLS_UNTRUSTED, REGISTRY_UNAVAILABLE, TIMEOUT, REGISTRY_ERROR, ABORTED, besides those that the
 * interfaces name.
 */
export class Repository implements ContentStore, Resolver, ManifestReader, Tagger, Mounter, Referrers, TagLister {
  readonly repositoryName: string;
  /** The registry. */
  readonly mountScope: string;
  readonly #access: RepositoryAccess;
  readonly #chunkBytes: number | undefined;
  readonly #referrers: ReferrersIndex;

  constructor(access: RepositoryAccess, options: RepositoryOptions = {}) {
    this.repositoryName = access.name;
    this.mountScope = access.registry;
    this.#access = access;
    this.#chunkBytes = options.chunkBytes;
    this.#referrers = new ReferrersIndex(access);
  }

  fetch(target: Descriptor, options: FetchOptions = {}): Promise<Readable> {
    return fetchContent(this.#access, target, options);
  }

  exists(target: Descriptor, options: OperationOptions = {}): Promise<boolean> {
    return contentExists(this.#access, target, options);
  }

  async push(expected: Descriptor, content: Readable, options: PushOptions = {}): Promise<void> {
    const { signal, isAbsent = false } = options;
    // It may fail before it is read; whoever reads it then gets the error.
    content.on('error', () => undefined);
    try {
      if (!isAbsent && (await contentExists(this.#access, expected, { signal, actions: 'pull,push' }))) return;
      if (isManifest(expected.mediaType)) {
        await pushManifest(this.#access, expected, content, { signal, referrers: this.#referrers });
      } else {
        await uploadBlob(this.#access, expected, content, { signal, chunkBytes: this.#chunkBytes });
      }
    } finally {
      content.destroy();
    }
  }

  /**
   * Sends a blob without asking for it first, and so that an upload that was interrupted goes on.
   *
   * @throws EdgeBundleError SIZE_MISMATCH, DIGEST_MISMATCH
   */
  async upload(expected: Descriptor, content: Readable, options: UploadOptions = {}): Promise<void> {
    // It may fail before it is read; whoever reads it then gets the error.
    content.on('error', () => undefined);
    try {
      await uploadBlob(this.#access, expected, content, { chunkBytes: this.#chunkBytes, ...options });
    } finally {
      content.destroy();
    }
  }

  /**
   * Whether this login may push here: an upload is begun, and cancelled.
   *
   * @throws EdgeBundleError ACCESS_DENIED where it may not, AUTH_FAILED
   */
  async ensureUploadAllowed({ signal }: OperationOptions = {}): Promise<void> {
    const nothing = { mediaType: mediaTypes.octetStream, digest: digestOf(Buffer.alloc(0)), size: 0 };
    const session = await UploadSession.open({ access: this.#access, blob: nothing, signal });
    await session.cancel();
  }

  /** Makes the registry forget an upload that nobody will go on with, where it can. */
  async cancelUpload(blob: Descriptor, location: string, { signal }: OperationOptions = {}): Promise<void> {
    if (URL.canParse(location)) await cancelUpload({ access: this.#access, blob, signal }, new URL(location));
  }

  /** Gives a manifest, whose bytes the caller has and which is in the repository, a name that does not lead to it yet. */
  async putTag(
    { mediaType }: Descriptor,
    bytes: Buffer,
    tag: string,
    { signal }: OperationOptions = {},
  ): Promise<void> {
    if (!isTag(tag)) throw new EdgeBundleError('REFERENCE_INVALID', `${JSON.stringify(tag)} is not a tag`);
    await putManifest(this.#access, tag, { bytes, mediaType, signal });
  }

  /** @param reference a tag or a digest: `1.27`, `sha256:…` */
  resolve(reference: string, options: OperationOptions = {}): Promise<Descriptor> {
    return resolveManifest(this.#access, reference, options);
  }

  readManifest(reference: string, options: OperationOptions = {}): Promise<NamedManifest> {
    return readManifest(this.#access, reference, options);
  }

  tag(target: Descriptor, reference: string, options: OperationOptions = {}): Promise<void> {
    return tagManifest(this.#access, target, reference, options);
  }

  mount(target: Descriptor, fromRepository: string, options: OperationOptions = {}): Promise<boolean> {
    return mountBlob(this.#access, target, fromRepository, options);
  }

  referrers(target: Descriptor, options: ReferrersOptions = {}): Promise<readonly Descriptor[]> {
    return this.#referrers.list(target, options);
  }

  /** All tags, in the registry's order. @throws EdgeBundleError NOT_FOUND where the repository does not exist */
  async tags(options: OperationOptions = {}): Promise<readonly string[]> {
    const pages = await readPages(this.#access, {
      what: `cannot list the tags of ${this.#access.label}`,
      path: 'tags/list',
      accept: 'application/json',
      schema: tagsSchema,
      signal: options.signal,
    });
    return pages.flatMap((page) => page.tags ?? []);
  }
}
