import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';

import type { Descriptor } from '../content/descriptor.ts';
import { type Digest, digestAlgorithm, digestHex, isDigest, parseDigest } from '../content/digest.ts';
import { parseManifest } from '../content/manifest.ts';
import { isManifest, mediaTypes } from '../content/media-types.ts';
import type {
  ContentStore,
  FetchOptions,
  OperationOptions,
  PushOptions,
  Referrers,
  Resolver,
  Tagger,
} from '../content/store.ts';
import { maxManifestBytes, readContent } from '../content/verify.ts';
import { EdgeBundleError, systemErrorCode, throwIfAborted } from '../errors.ts';
import { syncFolder } from '../files/atomic-file.ts';
import { fileError } from '../files/file-error.ts';
import { rangeBounds } from './byte-range.ts';
import { streamFile } from './file-stream.ts';
import { Ingest } from './ingest.ts';
import { type LayoutEntry, LayoutIndex } from './layout-index.ts';
import { ensureLayoutMarker } from './layout-marker.ts';
import { describeManifest, describeReferrer, ensureManifestSize } from './manifests.ts';
import { tagName } from './tag-name.ts';

/**
 * An OCI image layout on disk (OCI image-spec v1.1, image-layout.md). Several processes may use one at once. Content is
 * received outside of `blobs/`, verified, flushed and only then moved in; `index.json` changes under a lock.
 */
export class LayoutStore implements ContentStore, Resolver, Tagger, Referrers {
  readonly folder: string;
  readonly #index: LayoutIndex;
  readonly #ingest: Ingest;

  private constructor(folder: string) {
    this.folder = folder;
    this.#index = new LayoutIndex(folder);
    this.#ingest = new Ingest(folder);
  }

  /**
   * Opens the layout in `folder`, and makes one where there is none. One on read-only media can be read.
   *
   * @throws EdgeBundleError CONTENT_INVALID, UNSUPPORTED for another version of the layout, FILE_FAILED, NO_SPACE
   */
  static async open(folder: string): Promise<LayoutStore> {
    const store = new LayoutStore(folder);
    await ensureLayoutMarker(join(folder, 'oci-layout'));
    await store.#index.create();
    await store.#ingest.clean();
    return store;
  }

  /** Whether the content is there, in its full size. */
  async exists(target: Descriptor, options: OperationOptions = {}): Promise<boolean> {
    throwIfAborted(options.signal);
    return (await this.#storedBytes(target.digest)) === target.size;
  }

  /** @throws EdgeBundleError NOT_FOUND; FAILED where the range is not within the content */
  async fetch(target: Descriptor, options: FetchOptions = {}): Promise<Readable> {
    const range = rangeBounds(target, options.range);
    await this.#ensureExists(target, options);
    return streamFile(this.#blobPath(target.digest), range, options);
  }

  /**
   * @throws EdgeBundleError SIZE_MISMATCH, DIGEST_MISMATCH, TRANSFER_INCOMPLETE, NO_SPACE, FILE_FAILED, LOCKED, ABORTED;
   *   CONTENT_INVALID for a malformed manifest, CONTENT_TOO_LARGE for one of more than 4 MiB
   */
  async push(expected: Descriptor, content: Readable, options: PushOptions = {}): Promise<void> {
    // A source that fails before it is read must not end the process; whoever reads it finds the failure.
    content.on('error', () => undefined);
    try {
      ensureManifestSize(expected);
      if (await this.exists(expected, options)) return;
      await this.#ingest.receive(expected, content, (path) => this.#place(path, expected, options), options);
    } finally {
      content.destroy();
    }
  }

  /**
   * Takes a file over as the content of `expected`: it is moved in, or removed where the content is there already. The
   * caller has verified it and flushed it to the disk; it is on the layout's file system.
   *
   * @throws EdgeBundleError FILE_FAILED, NO_SPACE; CONTENT_INVALID for a malformed manifest
   */
  async adopt(expected: Descriptor, path: string, options: OperationOptions = {}): Promise<void> {
    ensureManifestSize(expected);
    if (await this.exists(expected, options)) await rm(path, { force: true });
    else await this.#place(path, expected, options);
  }

  /** @param reference a tag, or the digest of a manifest, whether `index.json` lists it or not */
  async resolve(reference: string, options: OperationOptions = {}): Promise<Descriptor> {
    throwIfAborted(options.signal);
    const found = isDigest(reference)
      ? await this.#resolveDigest(reference, options)
      : await this.#resolveName(reference);
    if (found === undefined) throw this.#notFound(`'${reference}'`);
    return found;
  }

  /**
   * Lists `target` in `index.json` under `reference`; by its digest, it is listed without a name.
   *
   * @throws EdgeBundleError NOT_FOUND where the layout does not have `target`, REFERENCE_INVALID, LOCKED, NO_SPACE
   */
  async tag(target: Descriptor, reference: string, options: OperationOptions = {}): Promise<void> {
    const name = tagName(target, reference);
    await this.#ensureExists(target, options);
    await this.#index.add(target, name, options);
  }

  /** All tags, sorted. */
  async tags(options: OperationOptions = {}): Promise<readonly string[]> {
    const entries = await this.entries(options);
    return [...new Set(entries.flatMap(({ name }) => (name === undefined ? [] : [name])))].sort();
  }

  /** What `index.json` lists, in its order. */
  async entries(options: OperationOptions = {}): Promise<readonly LayoutEntry[]> {
    throwIfAborted(options.signal);
    return this.#index.entries();
  }

  /** Among what `index.json` lists: manifests with a subject are listed when they are pushed. */
  async referrers(target: Descriptor, options: OperationOptions = {}): Promise<readonly Descriptor[]> {
    const listed = new Map((await this.entries(options)).map(({ descriptor }) => [descriptor.digest, descriptor]));
    const found: Descriptor[] = [];
    for (const descriptor of listed.values()) {
      if (!isManifest(descriptor.mediaType) || !(await this.exists(descriptor, options))) continue;
      const manifest = parseManifest(await readContent(this, descriptor, options), descriptor);
      if (manifest.subject?.digest === target.digest) found.push(describeReferrer(descriptor, manifest));
    }
    return found;
  }

  async #place(receivedPath: string, expected: Descriptor, options: OperationOptions): Promise<void> {
    const path = this.#blobPath(expected.digest);
    try {
      if (isManifest(expected.mediaType)) {
        const manifest = parseManifest(await readFile(receivedPath), expected);
        // Before the manifest is visible: a push that is killed in between is done again then, and not left unlisted.
        if (manifest.subject !== undefined) {
          await this.#index.add(describeReferrer(expected, manifest), undefined, options);
        }
      }
      if ((await mkdir(dirname(path), { recursive: true })) !== undefined) {
        await syncFolder(join(this.folder, 'blobs'));
        await syncFolder(this.folder);
      }
      await rename(receivedPath, path);
      await syncFolder(dirname(path));
    } catch (error) {
      throw fileError(error, `cannot place '${path}'`);
    }
  }

  async #resolveName(name: string): Promise<Descriptor | undefined> {
    return (await this.#index.entries()).find((entry) => entry.name === name)?.descriptor;
  }

  async #resolveDigest(digest: Digest, options: OperationOptions): Promise<Descriptor | undefined> {
    const size = await this.#storedBytes(digest);
    if (size === undefined) return undefined;
    const listed = (await this.#index.entries()).find(({ descriptor }) => descriptor.digest === digest);
    if (listed?.descriptor.size === size) return listed.descriptor;
    if (size > maxManifestBytes) return undefined;
    const stored = { mediaType: mediaTypes.octetStream, digest, size };
    return describeManifest(digest, await readContent(this, stored, options));
  }

  async #ensureExists(target: Descriptor, options: OperationOptions): Promise<void> {
    if (await this.exists(target, options)) return;
    const stored = await this.#storedBytes(target.digest);
    throw this.#notFound(
      stored === undefined ? target.digest : `${target.digest} with ${target.size} bytes (${stored} are there)`,
    );
  }

  /** The size of the file that holds `digest`; undefined where there is none. */
  async #storedBytes(digest: Digest): Promise<number | undefined> {
    const path = this.#blobPath(digest);
    try {
      const found = await stat(path);
      return found.isFile() ? found.size : undefined;
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return undefined;
      throw fileError(error, `cannot look at '${path}'`);
    }
  }

  /** A descriptor is outside data, whatever its type says: no other text may become a path. */
  #blobPath(untrusted: string): string {
    const digest = parseDigest(untrusted);
    return join(this.folder, 'blobs', digestAlgorithm(digest), digestHex(digest));
  }

  #notFound(what: string): EdgeBundleError {
    return new EdgeBundleError('NOT_FOUND', `${what} is not in the image layout '${this.folder}'`);
  }
}
