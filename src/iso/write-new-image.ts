import { writeFully } from '../files/write-fully.ts';
import { type FileHandle, open } from 'node:fs/promises';

import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError } from '../errors.ts';
import type { IsoBundle } from './content-entries.ts';
import { type IsoFile, type IsoImage, readIsoImage } from './iso-image.ts';
import { descriptorEnd, isoBlockBytes, readVolumeBlocks } from './volume-descriptor.ts';
import type { Xorriso } from './xorriso.ts';

export interface WriteNewImageOptions extends OperationOptions {
  readonly xorriso: Xorriso;
  readonly bundles: readonly IsoBundle[];
  readonly onWritten?: ((share: number) => void) | undefined;
}

/** As xorriso has it: what reads ahead beyond the last file finds something. */
const paddingBytes = 300 * 1024;

/**
 * Writes the new image that `commands` make, in which the parts of the bundles are the last contents. What comes before them is
 * xorriso's; then it is stopped, and the parts are written here to where it has put them, from the same buffers that are hashed.
 * It would copy them in blocks of 2 KiB, with several times the processor's work.
 *
 * @throws EdgeBundleError ISO_FAILED, ABORTED, and what `list` of a bundle throws
 */
export async function writeNewImage(
  partial: string,
  commands: readonly string[],
  { xorriso, bundles, signal, onWritten }: WriteNewImageOptions,
): Promise<IsoImage> {
  const handle = await open(partial, 'wx+');
  try {
    const parts = bundles.flatMap((bundle) => bundle.parts);
    const partBlocks = parts.reduce((sum, { size }) => sum + Math.ceil(size / isoBlockBytes), 0);
    const headBytes = await writeHead(handle, xorriso.image(commands, { signal }), partBlocks);
    await handle.truncate(headBytes);
    await handle.truncate(headBytes + partBlocks * isoBlockBytes + paddingBytes);
    const image = await readIsoImage(partial, xorriso, { signal });
    const places = new Map(parts.map(({ path, size }) => [path, placeOf(path, image, { size, headBytes })]));
    const total = parts.reduce((sum, { size }) => sum + size, 0);
    let written = 0;
    const take = async (chunk: Buffer, path: string, offset: number): Promise<void> => {
      await writeFully(handle, chunk, (places.get(path)?.offset ?? 0) + offset);
      written += chunk.byteLength;
      onWritten?.(written / total);
    };
    for (const bundle of bundles) await bundle.list(take);
    return image;
  } finally {
    await handle.close();
  }
}

/** @returns how many bytes there are before the first part */
async function writeHead(handle: FileHandle, chunks: AsyncIterable<Buffer>, partBlocks: number): Promise<number> {
  let written = 0;
  let headBytes = Infinity;
  for await (const chunk of chunks) {
    await writeFully(handle, chunk, written);
    written += chunk.byteLength;
    if (headBytes === Infinity && written >= descriptorEnd) {
      headBytes = (((await readVolumeBlocks(handle)) ?? 0) - partBlocks) * isoBlockBytes;
      if (headBytes < descriptorEnd)
        throw new EdgeBundleError('ISO_FAILED', 'xorriso has written something else than an ISO');
    }
    if (written >= headBytes) return headBytes;
  }
  throw new EdgeBundleError('ISO_FAILED', 'xorriso ended before it had written all that comes before the content');
}

function placeOf(path: string, { files }: IsoImage, expected: { size: number; headBytes: number }): IsoFile {
  const place = files.get(path);
  if (place?.size === expected.size && place.offset >= expected.headBytes) return place;
  throw new EdgeBundleError('ISO_FAILED', `the place of '${path}' on the ISO is not where xorriso has said it is`);
}
