import { writeFully } from '../files/write-fully.ts';
import { type FileHandle, open } from 'node:fs/promises';
import { resolve } from 'node:path';

import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError } from '../errors.ts';
import type { IsoBundle } from './content-entries.ts';
import { type IsoFile, type IsoImage, readIsoImage } from './iso-image.ts';
import { isoBlockBytes } from './volume-descriptor.ts';
import type { Xorriso } from './xorriso.ts';

export interface WriteFromBaseOptions extends OperationOptions {
  readonly xorriso: Xorriso;
  readonly base: IsoImage;
  readonly bundles: readonly IsoBundle[];
  readonly onWritten?: ((share: number) => void) | undefined;
}

/**
 * Writes what `commands` make of an installer's image. xorriso copies the bundles too, because an installer may have boot records
 * behind its files; they are hashed meanwhile: both read them at the same time, and the disk once.
 *
 * @throws EdgeBundleError ISO_FAILED, also where the boot records are not as they were; ABORTED, and what `list` of a bundle throws
 */
export async function writeFromBase(
  partial: string,
  commands: readonly string[],
  { xorriso, base, bundles, signal, onWritten }: WriteFromBaseOptions,
): Promise<IsoImage> {
  // It would wait for the disk after every 16 MiB. All of it is made durable at the end.
  const drives = ['-indev', `stdio:${resolve(base.path)}`, '-outdev', `stdio:${partial}`, '-stdio_sync', 'off'];
  const controller = new AbortController();
  const both = signal === undefined ? controller.signal : AbortSignal.any([signal, controller.signal]);
  const writing = xorriso.run([...drives, ...commands], { signal: both, onWritten });
  writing.catch(() => undefined);
  await Promise.all(bundles.map((bundle) => bundle.list())).catch(async (error: unknown) => {
    controller.abort();
    await writing.catch(() => undefined);
    throw error;
  });
  await writing;
  const image = await readIsoImage(partial, xorriso, { signal });
  ensureBootRecords(base, image);
  await clearPaddings(image, bundles);
  return image;
}

function ensureBootRecords(base: IsoImage, image: IsoImage): void {
  if (base.bootRecords.join('\n') === image.bootRecords.join('\n')) return;
  const lost = base.bootRecords.filter((line) => !image.bootRecords.includes(line));
  const more = image.bootRecords.filter((line) => !base.bootRecords.includes(line));
  throw new EdgeBundleError(
    'ISO_FAILED',
    `the boot records of '${base.path}' cannot be kept: ${[...lost.map((line) => `lost '${line}'`), ...more.map((line) => `new '${line}'`)].join(', ')}`,
    { hint: 'Put the content on an ISO of its own: edge-bundle iso create.' },
  );
}

/** xorriso fills the last block of a slice with the bytes that come next in its file. */
async function clearPaddings({ path, files }: IsoImage, bundles: readonly IsoBundle[]): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    for (const part of bundles.flatMap(({ parts }) => parts)) await clearPadding(handle, files.get(part.path));
  } finally {
    await handle.close();
  }
}

async function clearPadding(handle: FileHandle, place: IsoFile | undefined): Promise<void> {
  if (place === undefined) return;
  const padding = Buffer.alloc((isoBlockBytes - (place.size % isoBlockBytes)) % isoBlockBytes);
  await writeFully(handle, padding, place.offset + place.size);
}
