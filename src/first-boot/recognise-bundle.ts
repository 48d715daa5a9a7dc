import { createReadStream } from 'node:fs';
import { access } from 'node:fs/promises';

import { Header } from 'tar/header';

import { maxDocumentBytes } from '../bundle/bundle-document.ts';
import { documentPath, indexPath, ociLayoutFile } from '../bundle/image-layout.ts';
import { decompressStream } from '../bundle/zstd-codec.ts';

const blockBytes = 512;
/** What stands before `bundle.json` in a bundle: `index.json` repeats some of that, and never twice its size. */
const maxHeadBytes = 2 * maxDocumentBytes + 8 * blockBytes;
const headPaths: readonly string[] = [ociLayoutFile.path, indexPath, documentPath];

/**
 * Whether a file that cannot be opened as a bundle was meant to be one: it begins as bundles do (docs/bundle-format.md), or
 * checksums of bundle parts lie beside it. Others write `.zst` files of the same names.
 *
 * @param path of the file, or of its first part
 * @param base the same without `_part00`
 */
export async function isMeantAsBundle(path: string, base: string): Promise<boolean> {
  if (await isThere(`${base}.parts.json`)) return true;
  return beginsAsBundle(path).catch(() => false);
}

async function beginsAsBundle(path: string): Promise<boolean> {
  const source = createReadStream(path, { highWaterMark: 64 * 1024 });
  const archive = source.pipe(decompressStream());
  source.once('error', (error) => archive.destroy(error));
  let held = Buffer.alloc(0);
  let skip = 0;
  let [read, next] = [0, 0];
  try {
    for await (const chunk of archive as AsyncIterable<Buffer>) {
      read += chunk.byteLength;
      const dropped = Math.min(skip, chunk.byteLength);
      skip -= dropped;
      held = Buffer.concat([held, chunk.subarray(dropped)]);
      while (skip === 0 && held.byteLength >= blockBytes) {
        const header = new Header(held.subarray(0, blockBytes));
        if (!header.cksumValid || header.path !== headPaths[next]) return false;
        next += 1;
        if (next === headPaths.length) return true;
        const end = blockBytes * (1 + Math.ceil((header.size ?? 0) / blockBytes));
        skip = Math.max(0, end - held.byteLength);
        held = held.subarray(Math.min(end, held.byteLength));
      }
      if (read > maxHeadBytes) return false;
    }
    // The first frame may be all there is to see, and a long index.json goes on in the next.
    return skip > 0 && headPaths[next - 1] === indexPath;
  } finally {
    source.destroy();
    archive.destroy();
  }
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
