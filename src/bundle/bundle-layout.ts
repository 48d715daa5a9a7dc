import type { Digest } from '../content/digest.ts';
import { EdgeBundleError } from '../errors.ts';
import type { BundleDocument } from './bundle-document.ts';
import { blobPath, documentPath, encodeIndex, indexPath, ociLayoutFile, signaturePath } from './image-layout.ts';
import { maxFrames } from './seek-table.ts';
import { signatureFileBytes } from './signature-file.ts';
import { tarEntryBytes, tarTrailerBytes } from './tar-entry.ts';

/** The most content of a compressed frame: what is decompressed to read one byte of it. */
export const compressedFrameContentBytes = 1024 * 1024;

/** The most that a compressed frame takes in the file: more than zstd makes of it at worst (zstd.h, ZSTD_compressBound). */
export const maxCompressedFrameBytes = compressedFrameContentBytes + 64 * 1024;

/** The most content of a stored frame; the seek table allows 1 GiB. A multiple of a block. */
export const storedFrameContentBytes = 512 * 1024 * 1024;

/** Compressed blobs up to this size share frames; a larger one has frames of its own. */
export const packedBlobBytes = 256 * 1024;

/** A file of the archive. Offsets and sizes are in bytes of the archive, which is what all frames contain together. */
export interface BundleEntry {
  readonly path: string;
  readonly size: number;
  /** Of the header. */
  readonly tarOffset: number;
  /** Undefined for the four files before the blobs. */
  readonly digest?: Digest | undefined;
}

/** Frames that follow each other, and whose content is cut at the same size. */
export interface FrameRun {
  readonly kind: 'zstd' | 'stored';
  /** The entries whose headers, content and padding it holds: [first, end). Empty for the archive's trailer. */
  readonly firstEntry: number;
  readonly endEntry: number;
  readonly tarOffset: number;
  readonly contentBytes: number;
  /** The index of its first frame in the file. */
  readonly firstFrame: number;
  readonly frameCount: number;
}

/**
 * Where everything is, as far as `bundle.json` alone tells: all entries, their offsets in the archive, and how the archive
 * is cut into frames. Only the sizes of compressed frames are not known from it (docs/bundle-format.md).
 */
export interface BundleLayout {
  readonly document: BundleDocument;
  readonly documentBytes: Buffer;
  /** The files of the first run: `bundle.json`, and what follows from it. */
  readonly head: readonly { readonly path: string; readonly bytes: Buffer }[];
  /** The file behind `bundle.json` that has its signatures: the one thing that does not follow from it. */
  readonly signatures: BundleEntry;
  readonly entries: readonly BundleEntry[];
  readonly runs: readonly FrameRun[];
  readonly frameCount: number;
}

/**
 * @param documentBytes `encodeBundleDocument(document)`
 * @throws EdgeBundleError UNSUPPORTED where it takes more frames than a seek table can name: sizes are outside data
 */
export function planLayout(document: BundleDocument, documentBytes: Buffer): BundleLayout {
  const head = [
    ociLayoutFile,
    { path: indexPath, bytes: encodeIndex(document) },
    { path: documentPath, bytes: documentBytes },
  ];
  const entries: BundleEntry[] = [];
  let tarOffset = 0;
  const addEntry = (path: string, size: number, digest?: Digest): BundleEntry => {
    const entry = { path, size, digest, tarOffset };
    entries.push(entry);
    tarOffset += tarEntryBytes(size);
    return entry;
  };
  for (const { path, bytes } of head) addEntry(path, bytes.byteLength);
  const signatures = addEntry(signaturePath, signatureFileBytes);
  const firstBlob = entries.length;
  for (const { digest, size } of document.blobs) addEntry(blobPath(digest), size, digest);

  const runs: FrameRun[] = [];
  let frameCount = 0;
  const addRun = (kind: FrameRun['kind'], firstEntry: number, endEntry: number, contentBytes: number): void => {
    const previous = runs.at(-1);
    const cut = kind === 'stored' ? storedFrameContentBytes : compressedFrameContentBytes;
    const frames = Math.ceil(contentBytes / cut);
    runs.push({
      kind,
      firstEntry,
      endEntry,
      tarOffset: previous === undefined ? 0 : previous.tarOffset + previous.contentBytes,
      contentBytes,
      firstFrame: frameCount,
      frameCount: frames,
    });
    frameCount += frames;
  };
  const bytesOf = (first: number, end: number): number =>
    entries.slice(first, end).reduce((sum, { size }) => sum + tarEntryBytes(size), 0);

  addRun('zstd', 0, head.length, bytesOf(0, head.length));
  addRun('stored', head.length, firstBlob, bytesOf(head.length, firstBlob));
  const isPacked = (blob: { storage: string; size: number } | undefined): boolean =>
    blob?.storage === 'zstd' && blob.size <= packedBlobBytes;
  for (let first = 0; first < document.blobs.length;) {
    const { blobs } = document;
    let end = first + 1;
    if (isPacked(blobs[first])) while (isPacked(blobs[end])) end += 1;
    const [from, to] = [first + firstBlob, end + firstBlob];
    addRun(blobs[first]?.storage ?? 'stored', from, to, bytesOf(from, to));
    first = end;
  }
  addRun('zstd', entries.length, entries.length, tarTrailerBytes);
  if (frameCount > maxFrames) {
    throw new EdgeBundleError(
      'UNSUPPORTED',
      `the blobs that bundle.json names take ${frameCount} frames; a bundle has at most ${maxFrames}`,
    );
  }
  return { document, documentBytes, head, signatures, entries, runs, frameCount };
}
