import { Readable } from 'node:stream';

import type { Descriptor } from '../content/descriptor.ts';
import { type Digest, isDigest } from '../content/digest.ts';
import type { FetchOptions, ReadOnlyContentStore, Resolver } from '../content/store.ts';
import { abortedError, EdgeBundleError, isEdgeBundleError } from '../errors.ts';
import {
  type BundleDocument,
  bundleIdentity,
  contentDescriptor,
  type NamedContent,
  namedContents,
} from './bundle-document.ts';
import type { FrameMark, FrameReader } from './frame-reader.ts';
import type { BundleEntry, BundleLayout } from './bundle-layout.ts';
import { PartFiles } from './part-files.ts';
import { type BundleHead, type BundleTrust, readHead } from './read-head.ts';
import type { BundleSignature } from './signature-file.ts';
import { tarBlockBytes } from './tar-entry.ts';

export interface OpenBundleOptions {
  /** Default: anything that is sound is taken. */
  readonly trust?: BundleTrust | undefined;
}

/**
 * A content bundle as a store: reads any blob, or a range of it, in place. The file, or its parts, may be on read-only
 * media; nothing is unpacked.
 *
 * Opening checks that the file's structure is exactly the one that `bundle.json` implies. The blobs' content is checked by
 * whoever keeps it, as with every store, and by `verifyBundle`.
 */
export class BundleReader implements ReadOnlyContentStore, Resolver {
  readonly #files: PartFiles;
  readonly #frames: FrameReader;
  readonly #blobs: ReadonlyMap<Digest, BundleEntry>;
  readonly #contents: ReadonlyMap<string, NamedContent>;
  readonly layout: BundleLayout;
  /** As they are in the file: whether they are good is for `trust` to say. */
  readonly signatures: readonly BundleSignature[];
  /** The first 16 hex digits of `digest`. */
  readonly id: string;
  /** Of `bundle.json`. */
  readonly digest: Digest;

  private constructor(files: PartFiles, { layout, frames, signatures }: BundleHead) {
    this.#files = files;
    this.#frames = frames;
    this.layout = layout;
    this.signatures = signatures;
    const { id, digest } = bundleIdentity(layout.documentBytes);
    this.id = id;
    this.digest = digest;
    const blobs = new Map<Digest, BundleEntry>();
    for (const entry of layout.entries) if (entry.digest !== undefined) blobs.set(entry.digest, entry);
    this.#blobs = blobs;
    this.#contents = new Map(
      // Where two have one name, the image has it.
      namedContents(layout.document)
        .toReversed()
        .flatMap((content) => [
          [content.digest, content],
          [content.reference, content],
        ]),
    );
  }

  /**
   * @param path the bundle; its name without `_part00` where it is in parts; one of its parts; or the folder it is alone in
   * @throws EdgeBundleError FILE_FAILED, BUNDLE_INVALID, BUNDLE_PART_MISSING, SIGNATURE_INVALID, UNSUPPORTED, and what `trust`
   *   throws: then nothing in the bundle has been used
   */
  static async open(path: string, { trust }: OpenBundleOptions = {}): Promise<BundleReader> {
    const files = await PartFiles.open(path);
    try {
      return await BundleReader.read(files, { trust });
    } catch (error) {
      await files.close();
      throw error;
    }
  }

  /** The same over files that are open; closing the reader closes them. */
  static async read(files: PartFiles, { trust }: OpenBundleOptions = {}): Promise<BundleReader> {
    const reader = new BundleReader(files, await readHead(files, trust));
    if (files.list === undefined || files.list.id === reader.id) return reader;
    throw new EdgeBundleError(
      'BUNDLE_INVALID',
      `the parts are of bundle ${reader.id}, the list beside them is of bundle ${files.list.id}`,
      { hint: 'Copy parts and list again, from one place.' },
    );
  }

  get document(): BundleDocument {
    return this.layout.document;
  }

  /** The size of the file, or of all its parts, in bytes. */
  get bytes(): number {
    return this.#files.size;
  }

  /** The files that were opened: one, or the parts in order. */
  get paths(): readonly string[] {
    return this.#files.paths;
  }

  exists(target: Descriptor): Promise<boolean> {
    return Promise.resolve(this.#blobs.get(target.digest)?.size === target.size);
  }

  fetch(target: Descriptor, options: FetchOptions = {}): Promise<Readable> {
    const entry = this.#blobs.get(target.digest);
    if (entry?.size !== target.size) {
      return Promise.reject(this.#notFound(target, entry));
    }
    const { start = 0, end = entry.size } = options.range ?? {};
    if (start < 0 || start > end || end > entry.size) {
      return Promise.reject(
        new EdgeBundleError(
          'FAILED',
          `bytes ${start} to ${end} are not within the ${entry.size} bytes of ${target.digest}`,
        ),
      );
    }
    const from = entry.tarOffset + tarBlockBytes + start;
    return Promise.resolve(Readable.from(this.#read(entry, from, end - start, options.signal)));
  }

  /** @param reference an image's or chart's reference in normal form, or its digest */
  resolve(reference: string): Promise<Descriptor> {
    const content = this.#contents.get(reference);
    if (content !== undefined) return Promise.resolve(contentDescriptor(content));
    return Promise.reject(
      new EdgeBundleError(
        'NOT_FOUND',
        `${isDigest(reference) ? reference : `'${reference}'`} is not in bundle ${this.id}`,
      ),
    );
  }

  /**
   * Bytes of the archive itself: headers and padding too. Framing that is not as it has to be ends it with BUNDLE_INVALID.
   */
  readArchive(tarOffset: number, length: number): AsyncGenerator<Buffer> {
    return this.#frames.read(tarOffset, length);
  }

  /** Bytes of the file that follow from the bundle's structure alone: what has others there is no part of it. */
  frameMarks(): Iterable<FrameMark> {
    return this.#frames.marks();
  }

  async close(): Promise<void> {
    await this.#files.close();
  }

  #notFound({ digest, size }: Descriptor, entry: BundleEntry | undefined): EdgeBundleError {
    const { base } = this.document;
    const what = entry === undefined ? '' : ` with ${size} bytes (it has ${entry.size})`;
    const message = `${digest}${what} is not in bundle ${this.id}`;
    if (!base?.blobs.some((blob) => blob.digest === digest)) return new EdgeBundleError('NOT_FOUND', message);
    return new EdgeBundleError('NOT_FOUND', `${message}, but in its base '${base.name}' (${base.digest})`, {
      hint: 'It is a delta: load its base first, or merge the two.',
    });
  }

  async *#read(
    entry: BundleEntry,
    tarOffset: number,
    length: number,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of this.#frames.read(tarOffset, length)) {
        if (signal?.aborted === true) throw abortedError(signal);
        yield chunk;
      }
    } catch (error) {
      if (!isEdgeBundleError(error, 'BUNDLE_INVALID')) throw error;
      throw new EdgeBundleError('BUNDLE_INVALID', `${entry.path}: ${error.message}`, {
        hint: 'The file was damaged after the build; copy it again.',
        cause: error,
      });
    }
  }
}
