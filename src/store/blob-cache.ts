import { mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';

import pLimit from 'p-limit';

import type { Descriptor } from '../content/descriptor.ts';
import {
  type Digest,
  type DigestAlgorithm,
  digestAlgorithm,
  digestHex,
  isDigest,
  parseDigest,
} from '../content/digest.ts';
import { mediaTypes } from '../content/media-types.ts';
import type { ContentStore, FetchOptions, OperationOptions, PushOptions } from '../content/store.ts';
import { bytesOf, ContentVerifier } from '../content/verify.ts';
import { EdgeBundleError, isEdgeBundleError, systemErrorCode, throwIfAborted } from '../errors.ts';
import { fileError } from '../files/file-error.ts';
import { freeBytes } from '../files/free-space.ts';
import { rangeBounds } from './byte-range.ts';
import { streamFile } from './file-stream.ts';
import { Ingest, type IngestFile } from './ingest.ts';

const defaultCacheBytes = 20_000_000_000;

export interface BlobCacheOptions {
  /** How much it may have, in bytes; what was used longest ago goes first. Default: 20 GB. */
  readonly maxBytes?: number | undefined;
}

export interface CachedBlob {
  readonly digest: Digest;
  readonly bytes: number;
  readonly lastUsed: Date;
}

export interface PruneOptions extends OperationOptions {
  /** How much may stay, in bytes. */
  readonly maxBytes?: number | undefined;
  /** What was not used for so long goes; in milliseconds. */
  readonly olderThanMs?: number | undefined;
}

export interface VerifyCacheOptions extends OperationOptions {
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

const algorithms: readonly DigestAlgorithm[] = ['sha256', 'sha512'];

/** After an eviction so much of the limit is free, so that the next blob does not need one too. */
const roomShare = 0.05;

/**
 * Blobs that are kept between builds: a folder that several processes may use at once. Content comes in whole or not at
 * all, by a rename. As in every store, what is fetched is verified by whoever keeps it: who finds it damaged removes it.
 */
export class BlobCache implements ContentStore {
  readonly folder: string;
  readonly #maxBytes: number;
  readonly #ingest: Ingest;
  readonly #oneAtATime = pLimit(1);
  /** What was there when it was last looked at, and what this process has begun since: others add and remove, too. */
  #seenBytes: number | undefined;
  #begunBytes = 0;
  /** What is on its way in, with how much each will have. */
  readonly #underway = new Map<IngestFile, number>();
  /** How much of the disk is to stay free for other things, in bytes. */
  keepFreeBytes = 0;

  private constructor(folder: string, options: BlobCacheOptions) {
    this.folder = folder;
    this.#maxBytes = options.maxBytes ?? defaultCacheBytes;
    this.#ingest = new Ingest(folder);
  }

  /** Makes the folder where there is none. @throws EdgeBundleError FILE_FAILED, NO_SPACE */
  static async open(folder: string, options: BlobCacheOptions = {}): Promise<BlobCache> {
    const cache = new BlobCache(folder, options);
    try {
      await mkdir(folder, { recursive: true });
    } catch (error) {
      throw fileError(error, `cannot make the cache '${folder}'`);
    }
    await cache.#ingest.clean();
    return cache;
  }

  async exists(target: Descriptor, options: OperationOptions = {}): Promise<boolean> {
    throwIfAborted(options.signal);
    return (await this.#statOf(parseDigest(target.digest)))?.bytes === target.size;
  }

  /** @throws EdgeBundleError NOT_FOUND; FAILED where the range is not within the content */
  async fetch(target: Descriptor, options: FetchOptions = {}): Promise<Readable> {
    const range = rangeBounds(target, options.range);
    if (!(await this.exists(target, options))) {
      throw new EdgeBundleError('NOT_FOUND', `${target.digest} with ${target.size} bytes is not in '${this.folder}'`);
    }
    const path = this.#path(target.digest);
    const now = new Date();
    // A cache that can only be read serves all the same.
    await utimes(path, now, now).catch(() => undefined);
    return streamFile(path, range, options);
  }

  /**
   * Keeps content, where there is room for it.
   *
   * @throws EdgeBundleError SIZE_MISMATCH, DIGEST_MISMATCH, TRANSFER_INCOMPLETE, NO_SPACE, FILE_FAILED, ABORTED
   */
  async push(expected: Descriptor, content: Readable, options: PushOptions = {}): Promise<void> {
    // A source that fails before it is read must not end the process; whoever reads it finds the failure.
    content.on('error', () => undefined);
    let file: IngestFile | undefined;
    try {
      if (await this.exists(expected, options)) return;
      file = await this.begin(expected, options);
      if (file === undefined) return;
      const verifier = new ContentVerifier(expected);
      for await (const chunk of bytesOf(content, options.signal)) {
        verifier.update(chunk);
        await file.write([chunk]);
      }
      verifier.finish();
      await this.keep(expected, file);
    } finally {
      content.destroy();
      await file?.close();
    }
  }

  /**
   * A file for content that comes piece by piece: `keep` makes it part of the cache, and it has to be closed in any case.
   *
   * @returns undefined where there is no room for it, though all else were removed
   * @throws EdgeBundleError NO_SPACE, FILE_FAILED, ABORTED
   */
  async begin(expected: Descriptor, options: OperationOptions = {}): Promise<IngestFile | undefined> {
    return this.#oneAtATime(async () => {
      if (!(await this.#makeRoom(expected.size))) return undefined;
      const file = await this.#ingest.create(options);
      this.#underway.set(file, expected.size);
      return file;
    });
  }

  /** @param file from `begin`; has all of `expected`, and the caller has verified it */
  async keep(expected: Descriptor, file: IngestFile): Promise<void> {
    const path = this.#path(expected.digest);
    try {
      await mkdir(dirname(path), { recursive: true });
      // Not flushed: what a power cut damages is found when it is read, and fetched again.
      await rename(file.path, path);
    } catch (error) {
      throw fileError(error, `cannot keep ${expected.digest} in '${this.folder}'`);
    }
  }

  /** @throws EdgeBundleError FILE_FAILED */
  async remove(digest: Digest): Promise<void> {
    try {
      await rm(this.#path(digest), { force: true });
    } catch (error) {
      throw fileError(error, `cannot remove ${digest} from '${this.folder}'`);
    }
  }

  /** All that is there, the longest unused first. @throws EdgeBundleError FILE_FAILED */
  async entries(): Promise<readonly CachedBlob[]> {
    const found: CachedBlob[] = [];
    for (const algorithm of algorithms) {
      for (const name of await this.#namesIn(algorithm)) {
        const digest = `${algorithm}:${name}`;
        const blob = isDigest(digest) ? await this.#statOf(digest) : undefined;
        if (blob !== undefined) found.push(blob);
      }
    }
    return found.sort((one, other) => one.lastUsed.getTime() - other.lastUsed.getTime());
  }

  /** Removes what is old, then what was used longest ago. @returns what was removed @throws EdgeBundleError FILE_FAILED */
  async prune(options: PruneOptions): Promise<readonly CachedBlob[]> {
    const { maxBytes = Infinity, olderThanMs = Infinity, signal } = options;
    const entries = await this.entries();
    const removed: CachedBlob[] = [];
    let left = sumOf(entries);
    for (const blob of entries) {
      throwIfAborted(signal);
      if (left <= maxBytes && Date.now() - blob.lastUsed.getTime() <= olderThanMs) break;
      await this.remove(blob.digest);
      removed.push(blob);
      left -= blob.bytes;
    }
    this.#seen(left);
    return removed;
  }

  /** Reads all of it, and removes what is damaged. @returns what was removed @throws EdgeBundleError FILE_FAILED, ABORTED */
  async verify({ signal, onProgress }: VerifyCacheOptions = {}): Promise<readonly CachedBlob[]> {
    const damaged: CachedBlob[] = [];
    for (const blob of await this.entries()) {
      const target = { mediaType: mediaTypes.octetStream, digest: blob.digest, size: blob.bytes };
      try {
        const verifier = new ContentVerifier(target);
        const content = streamFile(this.#path(blob.digest), { start: 0, end: blob.bytes }, { signal });
        for await (const chunk of bytesOf(content, signal)) {
          verifier.update(chunk);
          onProgress?.(chunk.byteLength);
        }
        verifier.finish();
      } catch (error) {
        if (!isEdgeBundleError(error, 'DIGEST_MISMATCH', 'SIZE_MISMATCH', 'TRANSFER_INCOMPLETE', 'FILE_FAILED'))
          throw error;
        // Another process may have removed it meanwhile.
        if ((await this.#statOf(blob.digest)) === undefined) continue;
        await this.remove(blob.digest);
        damaged.push(blob);
      }
    }
    return damaged;
  }

  /** Removes what is needed for `bytes` more. False, with nothing removed, where that cannot be enough. */
  async #makeRoom(bytes: number): Promise<boolean> {
    const isStale = this.#seenBytes === undefined || this.#begunBytes > this.#maxBytes * roomShare;
    if (isStale) this.#seen(sumOf(await this.entries()));
    const used = (this.#seenBytes ?? 0) + this.#begunBytes;
    const free = (await freeBytes(this.folder)) - this.#unwrittenBytes() - this.keepFreeBytes;
    const limit = Math.min(this.#maxBytes, used + free);
    if (bytes > limit) return false;
    if (used + bytes > limit) await this.prune({ maxBytes: Math.min(limit - bytes, limit * (1 - roomShare)) });
    this.#begunBytes += bytes;
    return true;
  }

  /** What is on its way in, and not on the disk yet. */
  #unwrittenBytes(): number {
    let unwritten = 0;
    for (const [file, bytes] of this.#underway) {
      if (file.isOpen) unwritten += bytes - file.bytes;
      else this.#underway.delete(file);
    }
    return unwritten;
  }

  #seen(bytes: number): void {
    this.#seenBytes = bytes;
    this.#begunBytes = 0;
  }

  async #namesIn(algorithm: DigestAlgorithm): Promise<readonly string[]> {
    const path = join(this.folder, algorithm);
    try {
      return await readdir(path);
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return [];
      throw fileError(error, `cannot list '${path}'`);
    }
  }

  async #statOf(digest: Digest): Promise<CachedBlob | undefined> {
    const path = this.#path(digest);
    try {
      const found = await stat(path);
      return found.isFile() ? { digest, bytes: found.size, lastUsed: found.mtime } : undefined;
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return undefined;
      throw fileError(error, `cannot look at '${path}'`);
    }
  }

  /** A descriptor is outside data, whatever its type says: no other text may become a path. */
  #path(untrusted: string): string {
    const digest = parseDigest(untrusted);
    return join(this.folder, digestAlgorithm(digest), digestHex(digest));
  }
}

function sumOf(blobs: readonly CachedBlob[]): number {
  return blobs.reduce((sum, { bytes }) => sum + bytes, 0);
}
