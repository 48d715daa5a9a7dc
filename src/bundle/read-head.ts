import { Header } from 'tar/header';

import { EdgeBundleError } from '../errors.ts';
import { type BundleDocument, bundleIdentity, decodeBundleDocument, maxDocumentBytes } from './bundle-document.ts';
import {
  type BundleLayout,
  compressedFrameContentBytes,
  maxCompressedFrameBytes,
  planLayout,
} from './bundle-layout.ts';
import { FrameReader } from './frame-reader.ts';
import { documentPath, indexPath, ociLayoutFile, signaturePath } from './image-layout.ts';
import type { PartFiles } from './part-files.ts';
import { decodeSeekTable, type FrameSizes, seekTableFooterBytes, seekTableSize } from './seek-table.ts';
import { type BundleSignature, decodeSignatureFile } from './signature-file.ts';
import { readSignatureEntry, type SignatureFrame } from './signature-frame.ts';
import { tarBlockBytes, tarEntry, tarEntryBytes, tarHeader } from './tar-entry.ts';
import { decompressFrame } from './zstd-codec.ts';

/** The files before the signatures, in order, and how large each can be, in bytes. */
const headFiles: readonly (readonly [path: string, maxBytes: number])[] = [
  [ociLayoutFile.path, ociLayoutFile.bytes.byteLength],
  // It repeats some of what is in `bundle.json`, and never twice its size.
  [indexPath, 2 * maxDocumentBytes],
  [documentPath, maxDocumentBytes],
];

/** Whom a bundle has to come from: both throw where it does not. */
export interface BundleTrust {
  /** Called before anything in `bundle.json` is looked at. */
  authenticate(documentBytes: Buffer, signatures: readonly BundleSignature[]): void;
  /** Called before anything else is used. */
  admit(document: BundleDocument): void;
}

export interface BundleHead {
  readonly layout: BundleLayout;
  readonly frames: FrameReader;
  readonly signatures: readonly BundleSignature[];
}

/**
 * Reads seek table and `bundle.json`, and checks that the frames and the first files are those that it implies.
 *
 * @throws EdgeBundleError BUNDLE_INVALID, SIGNATURE_INVALID, UNSUPPORTED, FILE_FAILED, and what `trust` throws
 */
export async function readHead(files: PartFiles, trust?: BundleTrust): Promise<BundleHead> {
  const { table, archive, documentBytes, signatureFrame } = await readSignedPart(files);
  const { digest } = bundleIdentity(documentBytes);
  const { header, content } = await readSignatureEntry(files, signatureFrame);
  trust?.authenticate(documentBytes, decodeSignatureFile(content, digest));
  const document = decodeBundleDocument(documentBytes);
  trust?.admit(document);
  // Not before: where nobody asks for signatures, a newer format, which may have others, is told first.
  const signatures = decodeSignatureFile(content, digest);
  const layout = planLayout(document, documentBytes);
  ensureHeadFits(layout, archive);
  if (!header.equals(tarHeader(signaturePath, content.byteLength, document.sourceDateEpoch))) {
    throw invalid(`'${signaturePath}' is not as bundle.json implies`);
  }
  return { layout, frames: new FrameReader(files, layout, table), signatures };
}

/** What signatures are about, and where they are: nothing of it is trusted yet. */
export interface SignedPart {
  readonly table: readonly FrameSizes[];
  /** The archive up to the end of `bundle.json`. */
  readonly archive: Buffer;
  readonly documentBytes: Buffer;
  readonly signatureFrame: SignatureFrame;
}

/** Reads no further than to the end of `bundle.json`, which is not parsed. @throws EdgeBundleError as `readHead` */
export async function readSignedPart(files: PartFiles): Promise<SignedPart> {
  const table = await readSeekTable(files);
  return { table, ...(await readArchiveStart(files, table)) };
}

/** An `index.json` that tells something else than `bundle.json` would show others another bundle than us. */
function ensureHeadFits({ document, head }: BundleLayout, archive: Buffer): void {
  let offset = 0;
  for (const { path, bytes } of head) {
    const expected = tarEntry(path, bytes, document.sourceDateEpoch);
    if (!archive.subarray(offset, offset + expected.byteLength).equals(expected)) {
      throw invalid(`'${path}' is not as bundle.json implies`);
    }
    offset += expected.byteLength;
  }
}

async function readSeekTable(files: PartFiles): Promise<FrameSizes[]> {
  const footer =
    files.size < seekTableFooterBytes
      ? Buffer.alloc(0)
      : await files.read(files.size - seekTableFooterBytes, seekTableFooterBytes);
  const tableBytes = seekTableSize(footer);
  if (tableBytes === undefined) {
    const [path = '', ...others] = files.paths;
    throw others.length > 0 || /_part\d+$/.test(path)
      ? new EdgeBundleError(
          'BUNDLE_PART_MISSING',
          `after '${files.paths.at(-1) ?? ''}' a part is missing, or that one is cut short: the bundle does not end there`,
          { hint: 'Copy the last part again, and any that come after it.' },
        )
      : new EdgeBundleError(
          'BUNDLE_INVALID',
          `'${path}' is no content bundle, or is cut short: it has no seek table at its end`,
          {
            hint: 'Copy the bundle again; a bundle that is still being built has the ending .partial.',
          },
        );
  }
  if (tableBytes > files.size) throw invalid('the seek table is larger than the file');
  const frames = decodeSeekTable(await files.read(files.size - tableBytes, tableBytes));
  const total = frames.reduce((sum, { compressed }) => sum + compressed, tableBytes);
  if (total !== files.size) {
    throw new EdgeBundleError(
      files.paths.length > 1 ? 'BUNDLE_PART_MISSING' : 'BUNDLE_INVALID',
      `the bundle has ${files.size} bytes; its seek table accounts for ${total}`,
      { hint: 'A part is missing or belongs to another bundle, or the file was changed; copy it again.' },
    );
  }
  return frames;
}

/**
 * The first frames' content, until `bundle.json` is complete, and `bundle.json` itself. All that they claim is checked
 * before it is used.
 */
async function readArchiveStart(files: PartFiles, table: readonly FrameSizes[]): Promise<Omit<SignedPart, 'table'>> {
  const chunks: Buffer[] = [];
  let [held, frame, position] = [0, 0, 0];
  const need = async (bytes: number): Promise<Buffer> => {
    while (held < bytes) {
      const sizes = table[frame];
      if (sizes === undefined || sizes.content === 0) throw invalid('it ends before bundle.json');
      if (sizes.content > compressedFrameContentBytes || sizes.compressed > maxCompressedFrameBytes) {
        throw invalid(`frame ${frame} is too large`);
      }
      chunks.push(decompressFrame(await files.read(position, sizes.compressed), sizes.content));
      held += sizes.content;
      position += sizes.compressed;
      frame += 1;
    }
    const all = Buffer.concat(chunks);
    chunks.splice(0, chunks.length, all);
    return all;
  };

  let offset = 0;
  let documentBytes: Buffer = Buffer.alloc(0);
  for (const [path, maxBytes] of headFiles) {
    const header = (await need(offset + tarBlockBytes)).subarray(offset, offset + tarBlockBytes);
    const size = entrySize(header, path, maxBytes);
    if (size === undefined) throw invalid(`'${path}' is expected at byte ${offset} of the archive`);
    const end = offset + tarEntryBytes(size);
    documentBytes = (await need(end)).subarray(offset + tarBlockBytes, offset + tarBlockBytes + size);
    offset = end;
  }
  const archive = await need(offset);
  if (held > offset) throw invalid('there is something behind bundle.json in its frame');
  return { archive, documentBytes, signatureFrame: { number: frame, position, sizes: table[frame] } };
}

/** The size that the header of the file `path` states; undefined where it is not that file's, or not believable. */
function entrySize(block: Buffer, path: string, maxBytes: number): number | undefined {
  let header: Header;
  try {
    header = new Header(block);
  } catch {
    // What cannot be a number makes the parser throw.
    return undefined;
  }
  const { size } = header;
  const isExpected = header.cksumValid && header.path === path;
  return isExpected && size !== undefined && size <= maxBytes ? size : undefined;
}

function invalid(reason: string): EdgeBundleError {
  return new EdgeBundleError('BUNDLE_INVALID', `the bundle is malformed: ${reason}`, {
    hint: 'The file was damaged or changed after the build; copy it again.',
  });
}
