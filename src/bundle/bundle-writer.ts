import { rmdir } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { Readable } from 'node:stream';

import type { Descriptor } from '../content/descriptor.ts';
import type { Digest } from '../content/digest.ts';
import type {
  ContentStore,
  FetchOptions,
  OperationOptions,
  PushOptions,
  ReadOnlyContentStore,
  Resumable,
} from '../content/store.ts';
import { bytesOf, ContentVerifier } from '../content/verify.ts';
import { Flights } from '../copy/flights.ts';
import { EdgeBundleError, isEdgeBundleError, throwIfAborted } from '../errors.ts';
import { syncFolder, writeFileAtomic } from '../files/atomic-file.ts';
import { fileError } from '../files/file-error.ts';
import { FileLock } from '../files/file-lock.ts';
import { rangeBounds } from '../store/byte-range.ts';
import { CompressedRunWriter, type RunWriter, StoredRunWriter } from './blob-writer.ts';
import { BuildJournal, journalPath, removeJournal } from './build-journal.ts';
import { type BundleDocument, encodeBundleDocument } from './bundle-document.ts';
import { type BundleLayout, compressedFrameContentBytes, planLayout } from './bundle-layout.ts';
import { type BundlePath, bundlePathOf } from './bundle-path.ts';
import { ensureSpace } from './ensure-space.ts';
import { listParts } from './list-parts.ts';
import { encodePartList, partListPath } from './part-list.ts';
import { PartialFile } from './partial-file.ts';
import { isWithin, type PlacedBlob, Placement } from './placement.ts';
import { encodeSeekTable } from './seek-table.ts';
import { tarBlockBytes, tarHeader, tarPaddingBytes, tarTrailerBytes } from './tar-entry.ts';
import { type Head, writeHead } from './write-head.ts';
import { WrittenBlob } from './written-blob.ts';
import { compressFrame } from './zstd-codec.ts';

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
  /** It is written in parts of so many bytes, with a list of their checksums. Default: as one file. */
  readonly partBytes?: number | undefined;
}

interface WriterState {
  readonly target: BundlePath;
  readonly layout: BundleLayout;
  readonly placement: Placement;
  readonly head: Head;
  readonly metadata: ReadOnlyContentStore;
  readonly partBytes: number | undefined;
  readonly file: PartialFile;
  readonly journal: BuildJournal;
  readonly lock: FileLock;
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
  readonly #partBytes: number | undefined;
  readonly #placement: Placement;
  /** What is in place and verified, with its size. */
  readonly #done: Map<Digest, number>;
  /** What an interrupted push left of a blob, checked up to there. */
  readonly #resumed = new Map<Digest, { verifier: ContentVerifier; frames: number[] }>();
  /** Two that write one blob at the same time could each undo what the other has verified. */
  readonly #pushes = new Flights();
  readonly target: BundlePath;

  private constructor(state: WriterState) {
    this.target = state.target;
    this.#layout = state.layout;
    this.#placement = state.placement;
    this.#done = new Map(state.head.blobs.map(({ digest, size }) => [digest, size]));
    this.#metadata = state.metadata;
    this.#partBytes = state.partBytes;
    this.#file = state.file;
    this.#journal = state.journal;
    this.#lock = state.lock;
  }

  /**
   * @throws EdgeBundleError LOCKED, NO_SPACE (before the first byte is written), UNSUPPORTED for more than a bundle can hold,
   *   FILE_FAILED, ABORTED, and what `metadata` throws
   */
  static async open(options: BundleWriterOptions): Promise<BundleWriter> {
    const { out, document, metadata, partBytes, signal } = options;
    const documentBytes = encodeBundleDocument(document);
    const target = bundlePathOf(out, document, documentBytes);
    const layout = planLayout(document, documentBytes);
    const folder = dirname(target.path);
    const lock = await FileLock.acquire(`${target.path}.lock`, { signal });
    const opened: { close(): Promise<void> }[] = [];
    try {
      await ensureSpace(target.path, layout, { partBytes });
      const file = await PartialFile.open(target.path, { partBytes });
      opened.push(file);
      const leftBytes = await file.size();
      // A journal that outlived its file would vouch for content that is not there.
      if (leftBytes === 0) await removeJournal(journalPath(target.path));
      const placement = new Placement(layout);
      const head = await writeHead(file, { layout, placement, metadata, signal });
      const journal = await BuildJournal.open(journalPath(target.path), {
        ...{ bundle: target.digest, start: head.end },
        ...(partBytes === undefined ? {} : { partBytes }),
      });
      opened.push(journal);
      const writer = new BundleWriter({ target, layout, placement, head, metadata, partBytes, file, journal, lock });
      await writer.#adoptProgress(leftBytes, signal);
      return writer;
    } catch (error) {
      await Promise.allSettled(opened.map((each) => each.close()));
      await lock.release();
      await rmdir(folder).catch(() => undefined);
      throw error;
    }
  }

  exists(target: Descriptor): Promise<boolean> {
    return Promise.resolve(this.#done.get(target.digest) === target.size);
  }

  /**
   * The content of a blob that is complete.
   *
   * @throws EdgeBundleError NOT_FOUND; FAILED where the range is not within the content
   */
  async fetch(target: Descriptor, options: FetchOptions = {}): Promise<Readable> {
    const { digest, size } = target;
    if (!(await this.exists(target))) {
      throw new EdgeBundleError('NOT_FOUND', `${digest} with ${size} bytes is not in the bundle yet`);
    }
    const place = this.#placement.placed(digest);
    if (place === undefined) return this.#metadata.fetch(target, options);
    const { start, end } = rangeBounds(target, options.range);
    const written = new WrittenBlob(this.#file, place, this.#placement.framesOf(place.run));
    return Readable.from(written.read(start, end, options.signal), { objectMode: false });
  }

  async resumeOffset({ digest }: Descriptor, options: OperationOptions = {}): Promise<number> {
    const place = this.#placement.placed(digest);
    const progress = this.#journal.progressOf(digest);
    if (place === undefined || progress === undefined) return 0;
    const { run, entry } = place;
    const frames = [...progress.frames];
    const offset = run.kind === 'stored' ? progress.bytes : frames.length * compressedFrameContentBytes - tarBlockBytes;
    if (offset <= 0 || offset > entry.size) return 0;
    const written = new WrittenBlob(this.#file, place, frames);
    const verifier = await written.verifyStart(offset, this.#epoch, options.signal);
    if (verifier === undefined) return 0;
    this.#resumed.set(digest, { verifier, frames });
    return offset;
  }

  /**
   * @throws EdgeBundleError also TRANSFER_INCOMPLETE, NO_SPACE, FILE_FAILED, ABORTED; FAILED for what the document does not
   *   name, or for a compressed blob before its turn
   */
  async push(expected: Descriptor, content: Readable, options: PushOptions = {}): Promise<void> {
    const { digest } = expected;
    // A source that fails before it is read must not end the process; whoever reads it finds the failure.
    content.on('error', () => undefined);
    try {
      for (let other = this.#pushes.get(digest); other !== undefined; other = this.#pushes.get(digest)) await other;
      await this.#pushes.run(digest, () => this.#receive(expected, content, options));
    } finally {
      content.destroy();
    }
  }

  /**
   * Ends the file, makes it durable and gives it its name. Parts are read once more, for their checksums.
   *
   * @returns the path of the file, or of its first part
   * @throws EdgeBundleError CONTENT_MISSING where a blob has not been pushed, NO_SPACE, FILE_FAILED
   */
  async commit({ signal }: OperationOptions = {}): Promise<{ readonly path: string; readonly bytes: number }> {
    const missing = this.#layout.document.blobs.filter(({ digest }) => !this.#done.has(digest));
    if (missing.length > 0) {
      throw new EdgeBundleError(
        'CONTENT_MISSING',
        `the bundle lacks ${missing.length} blobs, ${missing[0]?.digest ?? ''} first`,
      );
    }
    const trailer = compressFrame(Buffer.alloc(tarTrailerBytes));
    const lastFrame = { compressed: trailer.byteLength, content: tarTrailerBytes };
    const table = encodeSeekTable([...this.#placement.frames.slice(0, -1), lastFrame]);
    const bytes = this.#placement.end + trailer.byteLength + table.byteLength;
    await this.#file.write([trailer, table], this.#placement.end);
    await this.#file.finish(bytes);
    await this.#listParts(bytes, signal);
    const folder = dirname(this.target.path);
    const [path = this.target.path] = await this.#file.publish();
    try {
      await syncFolder(dirname(folder));
    } catch (error) {
      throw fileError(error, `cannot give the bundle its name '${path}'`);
    }
    await removeJournal(journalPath(this.target.path));
    return { path, bytes };
  }

  /** Ends the work; what is in place stays for the next writer. */
  async close(): Promise<void> {
    try {
      await this.#file.close();
      await this.#journal.close();
    } finally {
      await this.#lock.release();
    }
  }

  async #listParts(size: number, signal: AbortSignal | undefined): Promise<void> {
    const partBytes = this.#partBytes;
    if (partBytes === undefined) return;
    const { path, id } = this.target;
    const fill = (buffer: Buffer, position: number): Promise<void> => this.#file.fill(buffer, position);
    const list = await listParts({ fill, bundle: basename(path), id, size, partBytes, signal });
    await writeFileAtomic(partListPath(path), encodePartList(list));
  }

  get #epoch(): number {
    return this.#layout.document.sourceDateEpoch;
  }

  /**
   * Takes over what the journal says is done, as far as the `leftBytes` that the last writer left have it. What an earlier
   * boot left in the middle of a blob is dropped: damage there would show when the blob has come to its end, and not before.
   */
  async #adoptProgress(leftBytes: number, signal: AbortSignal | undefined): Promise<void> {
    for (const { digest } of this.#layout.document.blobs) {
      const place = this.#placement.placed(digest);
      const progress = this.#journal.progressOf(digest);
      if (place === undefined || progress?.done !== true) continue;
      const { frames } = progress;
      const isSound =
        isWithin(place, frames, leftBytes) &&
        (this.#journal.isTrustworthy ||
          (await new WrittenBlob(this.#file, place, frames).isIntact(this.#epoch, signal)));
      if (isSound) this.#complete(place, frames);
      else await this.#journal.record({ blob: digest, discarded: true });
    }
    if (!this.#journal.isTrustworthy) await this.#journal.renew(this.#done.keys());
  }

  async #receive(expected: Descriptor, content: Readable, options: PushOptions): Promise<void> {
    const { signal, offset = 0 } = options;
    const { digest } = expected;
    throwIfAborted(signal);
    if (await this.exists(expected)) return;
    const place = this.#placeToPush(expected);
    const resumed = offset > 0 ? this.#resumed.get(digest) : { verifier: new ContentVerifier(expected), frames: [] };
    if (resumed?.verifier.bytes !== offset) {
      throw new EdgeBundleError('FAILED', `${digest}: a push cannot go on at byte ${offset}`);
    }
    if (offset === 0 && this.#journal.progressOf(digest) !== undefined) {
      await this.#journal.record({ blob: digest, discarded: true });
    }
    const { verifier, frames } = resumed;
    try {
      await this.#write(place, verifier, frames, bytesOf(content, signal));
      await this.#journal.record({ blob: digest, done: true });
      this.#complete(place, frames);
    } finally {
      this.#resumed.delete(digest);
    }
  }

  /** Where a blob goes that is not there yet. */
  #placeToPush({ digest, size }: Descriptor): PlacedBlob {
    const plannedBytes = this.#done.get(digest) ?? this.#placement.planned(digest)?.entry.size;
    if (plannedBytes === undefined) throw new EdgeBundleError('FAILED', `${digest} is not in the plan of the bundle`);
    if (plannedBytes !== size) {
      const message = `${digest} has ${plannedBytes} bytes in the plan of the bundle, not ${size}`;
      throw new EdgeBundleError('SIZE_MISMATCH', message);
    }
    const place = this.#placement.placed(digest);
    if (place !== undefined) return place;
    throw new EdgeBundleError('FAILED', `${digest} was pushed before the compressed blobs that come before it`);
  }

  async #write(
    place: PlacedBlob,
    verifier: ContentVerifier,
    frames: number[],
    content: AsyncIterable<Buffer>,
  ): Promise<void> {
    const { entry, digest } = place;
    const isResumed = verifier.bytes > 0;
    const writer = this.#runWriter(place, isResumed ? tarBlockBytes + verifier.bytes : 0, frames);
    try {
      if (!isResumed) await writer.add(tarHeader(entry.path, entry.size, this.#epoch));
      for await (const chunk of content) {
        verifier.update(chunk);
        await writer.add(chunk);
      }
      verifier.finish();
      await writer.add(Buffer.alloc(tarPaddingBytes(entry.size)));
      await writer.end();
    } catch (error) {
      await writer.suspend().catch(() => undefined);
      if (isEdgeBundleError(error, 'SIZE_MISMATCH', 'DIGEST_MISMATCH')) {
        await this.#journal.record({ blob: digest, discarded: true });
      }
      throw error;
    }
  }

  /** @param offset of the run, from which it goes on; of a compressed one, that is where `frames` end */
  #runWriter({ run, entry, start, digest: blob }: PlacedBlob, offset: number, frames: number[]): RunWriter {
    if (run.kind === 'stored') {
      return new StoredRunWriter(this.#file, { start, contentBytes: run.contentBytes }, offset, (end) =>
        this.#journal.record({ blob, bytes: Math.max(0, Math.min(end - tarBlockBytes, entry.size)) }),
      );
    }
    return new CompressedRunWriter(this.#file, start + sum(frames), async (frame) => {
      await this.#journal.record({ blob, frame });
      frames.push(frame);
    });
  }

  #complete(place: PlacedBlob, frames: readonly number[]): void {
    this.#done.set(place.digest, place.entry.size);
    this.#placement.complete(place, frames);
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
