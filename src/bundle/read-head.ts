import { Header } from 'tar';

import { EdgeBundleError } from '../errors.ts';
import { type BundleDocument, decodeBundleDocument } from './bundle-document.ts';
import { type BundleLayout, compressedFrameContentBytes, planLayout } from './bundle-layout.ts';
import { FrameReader } from './frame-reader.ts';
import { documentPath, indexPath, ociLayoutFile } from './image-layout.ts';
import type { PartFiles } from './part-files.ts';
import { decodeSeekTable, type FrameSizes, seekTableFooterBytes, seekTableSize } from './seek-table.ts';
import { tarBlockBytes, tarEntryBytes } from './tar-entry.ts';
import { decompressFrame } from './zstd-codec.ts';

/** More than any bundle.json has, and what a reader is ready to hold in memory. */
const maxHeadFileBytes = 64 * 1024 * 1024;

/** More than zstd makes of `compressedFrameContentBytes` at worst (zstd.h, ZSTD_compressBound). */
const maxCompressedFrameBytes = compressedFrameContentBytes + 64 * 1024;

const headPaths: readonly string[] = [ociLayoutFile.path, indexPath, documentPath];

/**
 * Reads seek table and `bundle.json`, and checks that the frames and the first files are those that it implies.
 *
 * @throws EdgeBundleError BUNDLE_INVALID, UNSUPPORTED, FILE_FAILED
 */
export async function readHead(files: PartFiles): Promise<{ layout: BundleLayout; frames: FrameReader }> {
  const table = await readSeekTable(files);
  const { document, documentBytes } = await readDocument(files, table);
  const layout = planLayout(document, documentBytes);
  const frames = new FrameReader(files, layout, table);
  return { layout, frames };
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

/** Follows the first frames until `bundle.json` is complete; all that they claim is checked before it is used. */
async function readDocument(
  files: PartFiles,
  table: readonly FrameSizes[],
): Promise<{ document: BundleDocument; documentBytes: Buffer }> {
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
  let documentBytes = Buffer.alloc(0);
  for (const path of headPaths) {
    const header = new Header((await need(offset + tarBlockBytes)).subarray(offset, offset + tarBlockBytes));
    const { size } = header;
    if (!header.cksumValid || header.path !== path || size === undefined || size < 0 || size > maxHeadFileBytes) {
      throw invalid(`'${path}' is expected at byte ${offset} of the archive`);
    }
    const content = await need(offset + tarBlockBytes + size);
    documentBytes = Buffer.from(content.subarray(offset + tarBlockBytes, offset + tarBlockBytes + size));
    offset += tarEntryBytes(size);
  }
  return { document: decodeBundleDocument(documentBytes), documentBytes };
}

function invalid(reason: string): EdgeBundleError {
  return new EdgeBundleError('BUNDLE_INVALID', `the bundle is malformed: ${reason}`, {
    hint: 'The file was damaged or changed after the build; copy it again.',
  });
}
