import { rename, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';

import type { Descriptor } from '../content/descriptor.ts';
import type { Digest } from '../content/digest.ts';
import { mediaTypes } from '../content/media-types.ts';
import type {
  ContentStore,
  FetchOptions,
  OperationOptions,
  PushOptions,
  ReadOnlyContentStore,
  Resumable,
} from '../content/store.ts';
import { bytesOf, ContentVerifier, readContent } from '../content/verify.ts';
import { EdgeBundleError, isEdgeBundleError, throwIfAborted } from '../errors.ts';
import { syncFolder } from '../files/atomic-file.ts';
import { fileError } from '../files/file-error.ts';
import { FileLock } from '../files/file-lock.ts';
import { CompressedRunWriter, type RunWriter, StoredRunWriter } from './blob-writer.ts';
import { BuildJournal } from './build-journal.ts';
import { type BundleDocument, bundleIdentity, type BundleIdentity, encodeBundleDocument } from './bundle-document.ts';
import {
  type BundleEntry,
  type BundleLayout,
  compressedFrameContentBytes,
  type FrameRun,
  planLayout,
  reservedFrameBytes,
} from './bundle-layout.ts';
import { ensureSpace } from './ensure-space.ts';
import { PartialFile } from './partial-file.ts';
import { type PlacedBlob, Placement } from './placement.ts';
import { encodeSeekTable, reservedFrame } from './seek-table.ts';
import { readRun } from './run-reader.ts';
import { tarBlockBytes, tarHeader, tarPaddingBytes, tarTrailerBytes } from './tar-entry.ts';

export interface BundleWriterOptions extends OperationOptions {
  /** The folder that the bundle's own folder is made in. */
  readonly out: string;
  /**
   * Its `blobs` have this order: compressed ones that `metadata` has; stored ones; compressed ones that are pushed, one
   * after the other.
   */
  readonly document: BundleDocument;
  /** Has the small content that comes first in the file, manifests and configs: its compressed size is part of the plan. */
  readonly metadata: ReadOnlyContentStore;
}

/** Where a bundle is, or will be. */
export interface BundlePath extends BundleIdentity {
  readonly path: string;
}

/** `<out>/content-<id>/core-<name>-<id>.tar.zst` */
export function bundlePath(out: string, document: BundleDocument): BundlePath {
  const identity = bundleIdentity(encodeBundleDocument(document));
  const path = join(out, `content-${identity.id}`, `core-${document.name}-${identity.id}.tar.zst`);
  return { ...identity, path };
}

/**
 * Writes a bundle in one pass: each blob that is pushed goes straight to its place in `<bundle>.partial`, many at once, and
 * is journalled; `commit` ends the file and gives it its name. A writer that is opened again for the same document goes on
 * where the last one stopped, in the middle of a blob.
 */
export class BundleWriter implements ContentStore, Resumable {
  readonly #layout: BundleLayout;
  readonly #file: PartialFile;
  readonly #journal: BuildJournal;
  readonly #lock: FileLock;
  readonly #metadata: ReadOnlyContentStore;
  readonly #placement: Placement;
  readonly #done = new Set<Digest>();
  /** What an interrupted push left of a blob, checked up to there. */
  readonly #resumed = new Map<Digest, { verifier: ContentVerifier; frames: number[] }>();
  readonly target: BundlePath;

  private constructor(
    target: BundlePath,
    layout: BundleLayout,
    file: PartialFile,
    journal: BuildJournal,
    lock: FileLock,
    metadata: ReadOnlyContentStore,
  ) {
    this.target = target;
    this.#layout = layout;
    this.#file = file;
    this.#journal = journal;
    this.#lock = lock;
    this.#metadata = metadata;
    this.#placement = new Placement(layout);
  }

  /** @throws EdgeBundleError LOCKED, NO_SPACE (before the first byte is written), FILE_FAILED, and what `metadata` throws */
  static async open(options: BundleWriterOptions): Promise<BundleWriter> {
    const { out, document, metadata, signal } = options;
    const target = bundlePath(out, document);
    const layout = planLayout(document, encodeBundleDocument(document));
    const folder = dirname(target.path);
    const lock = await FileLock.acquire(`${target.path}.lock`, { signal });
    try {
      const partialPath = `${target.path}.partial`;
      await ensureSpace(folder, partialPath, layout);
      const journal = await BuildJournal.open(`${target.path}.journal`, target.digest);
      const file = await PartialFile.open(partialPath);
      const writer = new BundleWriter(target, layout, file, journal, lock, metadata);
      try {
        await writer.#begin(signal);
        return writer;
      } catch (error) {
        await file.close();
        await journal.close();
        throw error;
      }
    } catch (error) {
      await lock.release();
      await rmdir(folder).catch(() => undefined);
      throw error;
    }
  }

  exists(target: Descriptor): Promise<boolean> {
    return Promise.resolve(this.#done.has(target.digest));
  }

  /** The content of a blob that is complete. */
  fetch(target: Descriptor, options: FetchOptions = {}): Promise<Readable> {
    if (!this.#done.has(target.digest)) {
      return Promise.reject(new EdgeBundleError('NOT_FOUND', `${target.digest} is not in the bundle yet`));
    }
    const placed = this.#placement.blob(target.digest);
    if (placed === undefined) return this.#metadata.fetch(target, options);
    const { start = 0, end = placed.entry.size } = options.range ?? {};
    const frames = this.#placement.framesOf(placed.run);
    return Promise.resolve(
      Readable.from(this.#readBack(placed, frames, tarBlockBytes + start, tarBlockBytes + end), { objectMode: false }),
    );
  }

  async resumeOffset(target: Descriptor): Promise<number> {
    const placed = this.#placement.blob(target.digest);
    const progress = this.#journal.progressOf(target.digest);
    if (placed?.start === undefined || progress === undefined) return 0;
    const frames = [...progress.frames];
    const offset =
      placed.run.kind === 'stored' ? progress.bytes : frames.length * compressedFrameContentBytes - tarBlockBytes;
    if (offset <= 0 || offset > placed.entry.size) return 0;
    const verifier = new ContentVerifier({ ...target, size: placed.entry.size });
    try {
      for await (const chunk of this.#readBack(placed, frames, tarBlockBytes, tarBlockBytes + offset)) {
        verifier.update(chunk);
      }
    } catch (error) {
      if (!isEdgeBundleError(error, 'BUNDLE_INVALID', 'FILE_FAILED')) throw error;
      await this.#discard(target.digest);
      return 0;
    }
    this.#resumed.set(target.digest, { verifier, frames });
    return offset;
  }

  /** @throws EdgeBundleError also FAILED for what the document does not name, or for a compressed blob before its turn */
  async push(expected: Descriptor, content: Readable, options: PushOptions = {}): Promise<void> {
    const { signal, offset = 0 } = options;
    const { digest } = expected;
    try {
      if (this.#done.has(digest)) return;
      const placed = this.#placement.blob(digest);
      if (placed === undefined) throw new EdgeBundleError('FAILED', `${digest} is not in the plan of the bundle`);
      if (placed.start === undefined) {
        throw new EdgeBundleError('FAILED', `${digest} was pushed before the compressed blobs that come before it`);
      }
      const resumed = this.#resumed.get(digest);
      this.#resumed.delete(digest);
      if (offset > 0 && resumed?.verifier.bytes !== offset) {
        throw new EdgeBundleError('FAILED', `${digest}: a push cannot go on at byte ${offset}`);
      }
      if (offset === 0 && this.#journal.progressOf(digest) !== undefined) await this.#discard(digest);
      const verifier = offset > 0 && resumed !== undefined ? resumed.verifier : new ContentVerifier(expected);
      const frames = offset > 0 && resumed !== undefined ? resumed.frames : [];
      await this.#write(placed, placed.start, verifier, frames, bytesOf(content, signal));
      await this.#journal.record({ blob: digest, done: true });
      this.#complete(placed, frames);
    } finally {
      content.destroy();
    }
  }

  /**
   * Ends the file, makes it durable and gives it its name.
   *
   * @throws EdgeBundleError CONTENT_MISSING where a blob has not been pushed, NO_SPACE, FILE_FAILED
   */
  async commit(): Promise<{ readonly path: string; readonly bytes: number }> {
    const missing = this.#layout.entries.flatMap(({ digest }) =>
      digest === undefined || this.#done.has(digest) ? [] : [digest],
    );
    if (missing.length > 0) {
      throw new EdgeBundleError(
        'CONTENT_MISSING',
        `the bundle lacks ${missing.length} blobs, ${missing[0] ?? ''} first`,
      );
    }
    const trailer = this.#layout.runs.at(-1);
    if (trailer !== undefined) await this.#writeRun(trailer, [Buffer.alloc(tarTrailerBytes)]);
    const table = encodeSeekTable(this.#placement.frames);
    await this.#file.write([table], this.#placement.end);
    const bytes = this.#placement.end + table.byteLength;
    await this.#file.finish(bytes);
    const { path } = this.target;
    try {
      await rename(this.#file.path, path);
      await syncFolder(dirname(path));
      await rm(`${path}.journal`, { force: true });
    } catch (error) {
      throw fileError(error, `cannot give the bundle its name '${path}'`);
    }
    return { path, bytes };
  }

  /** Ends the work; what is in place stays for the next writer. */
  async close(): Promise<void> {
    await this.#file.close();
    await this.#journal.close();
    await this.#lock.release();
  }

  /** Writes what comes before the first stored blob, and finds out where everything else goes. */
  async #begin(signal: AbortSignal | undefined): Promise<void> {
    let atHead = true;
    for (const run of this.#layout.runs.slice(0, -1)) {
      throwIfAborted(signal);
      if (run.kind === 'reserved') {
        await this.#file.write([reservedFrame(reservedFrameBytes)], this.#placement.end);
        this.#placement.append(run, [reservedFrameBytes]);
        continue;
      }
      atHead &&= run.kind === 'zstd' && (await this.#isMetadata(run));
      if (atHead) await this.#writeRun(run, this.#contentOf(run, signal));
      else this.#placement.reserve(run);
    }
    await this.#adoptProgress();
  }

  async #isMetadata(run: FrameRun): Promise<boolean> {
    for (const { digest, size } of this.#entriesOf(run)) {
      if (digest !== undefined && !(await this.#metadata.exists(blobDescriptor(digest, size)))) return false;
    }
    return true;
  }

  async *#contentOf(run: FrameRun, signal: AbortSignal | undefined): AsyncGenerator<Buffer> {
    for (const entry of this.#entriesOf(run)) {
      const { digest, path, size } = entry;
      const content =
        digest === undefined
          ? this.#layout.head.find((file) => file.path === path)?.bytes
          : await readContent(this.#metadata, blobDescriptor(digest, size), { signal });
      yield this.#header(entry);
      yield content ?? Buffer.alloc(0);
      yield Buffer.alloc(tarPaddingBytes(size));
      if (digest !== undefined) this.#done.add(digest);
    }
  }

  async #writeRun(run: FrameRun, content: AsyncIterable<Buffer> | Iterable<Buffer>): Promise<void> {
    const frames: number[] = [];
    const writer = new CompressedRunWriter(this.#file, this.#placement.end, (bytes) => {
      frames.push(bytes);
      return Promise.resolve();
    });
    for await (const chunk of content) await writer.add(chunk);
    await writer.end();
    this.#placement.append(run, frames);
  }

  /** Takes over what the journal says is done; after another boot, only what is still as it should be. */
  async #adoptProgress(): Promise<void> {
    for (const { digest } of this.#layout.entries) {
      if (digest === undefined) continue;
      const placed = this.#placement.blob(digest);
      const progress = this.#journal.progressOf(digest);
      if (placed?.start === undefined || progress?.done !== true) continue;
      if (this.#journal.isTrustworthy || (await this.#isIntact(placed, progress.frames))) {
        this.#complete(placed, progress.frames);
      } else {
        await this.#discard(digest);
      }
    }
  }

  async #isIntact(placed: PlacedBlob, frames: readonly number[]): Promise<boolean> {
    const { digest, entry } = placed;
    const { size } = entry;
    const verifier = new ContentVerifier(blobDescriptor(digest, size));
    try {
      for await (const chunk of this.#readBack(placed, frames, tarBlockBytes, tarBlockBytes + size)) {
        verifier.update(chunk);
      }
      verifier.finish();
      return true;
    } catch (error) {
      if (!isEdgeBundleError(error)) throw error;
      return false;
    }
  }

  async #write(
    placed: PlacedBlob,
    start: number,
    verifier: ContentVerifier,
    frames: number[],
    content: AsyncIterable<Buffer>,
  ): Promise<void> {
    const { run, entry, digest: blob } = placed;
    const resumed = verifier.bytes > 0;
    const writer: RunWriter =
      run.kind === 'stored'
        ? new StoredRunWriter(
            this.#file,
            { start, contentBytes: run.contentBytes },
            resumed ? tarBlockBytes + verifier.bytes : 0,
            (end) => this.#journal.record({ blob, bytes: Math.max(0, Math.min(end - tarBlockBytes, entry.size)) }),
          )
        : new CompressedRunWriter(this.#file, start + frames.reduce((sum, bytes) => sum + bytes, 0), (frame) => {
            frames.push(frame);
            return this.#journal.record({ blob, frame });
          });
    try {
      if (!resumed) await writer.add(this.#header(entry));
      for await (const chunk of content) {
        verifier.update(chunk);
        await writer.add(chunk);
      }
      verifier.finish();
      await writer.add(Buffer.alloc(tarPaddingBytes(entry.size)));
      await writer.end();
    } catch (error) {
      await writer.suspend().catch(() => undefined);
      if (isEdgeBundleError(error, 'SIZE_MISMATCH', 'DIGEST_MISMATCH')) await this.#discard(blob);
      throw error;
    }
  }

  #readBack(placed: PlacedBlob, frames: readonly number[], from: number, to: number): AsyncGenerator<Buffer> {
    const read = (position: number, length: number): Promise<Buffer> => this.#file.read(position, length);
    return readRun(read, placed.run, placed.start ?? 0, frames, from, to);
  }

  #complete(placed: PlacedBlob, frames: readonly number[]): void {
    this.#done.add(placed.digest);
    this.#placement.complete(placed, frames);
  }

  async #discard(digest: Digest): Promise<void> {
    await this.#journal.record({ blob: digest, discarded: true });
  }

  #entriesOf(run: FrameRun): readonly BundleEntry[] {
    return this.#layout.entries.slice(run.firstEntry, run.endEntry);
  }

  #header({ path, size }: BundleEntry): Buffer {
    return tarHeader(path, size, this.#layout.document.sourceDateEpoch);
  }
}

function blobDescriptor(digest: Digest, size: number): Descriptor {
  return { mediaType: mediaTypes.octetStream, digest, size };
}
