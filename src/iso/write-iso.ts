import { type FileHandle, mkdir, open, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, posix, resolve } from 'node:path';

import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError } from '../errors.ts';
import { syncFolder } from '../files/atomic-file.ts';
import { fileError } from '../files/file-error.ts';
import { FileLock } from '../files/file-lock.ts';
import { freeBytes } from '../files/free-space.ts';
import { withTemporaryFolder } from '../files/temporary-folder.ts';
import { type IsoEntry, sizeOf } from './iso-entry.ts';
import { isoBlockBytes, type IsoFile, type IsoImage, readIsoImage } from './iso-image.ts';
import type { Xorriso } from './xorriso.ts';

export interface WriteIsoOptions extends OperationOptions {
  readonly xorriso: Xorriso;
  readonly out: string;
  readonly entries: readonly IsoEntry[];
  /** The image that everything else comes from, with its boot records. Default: a new one. */
  readonly base?: IsoImage | undefined;
  /** Paths of the base that go before anything is added. */
  readonly remove?: readonly string[] | undefined;
  /** Of a new one. */
  readonly label?: string | undefined;
  /** The time stamp of what is added, and of a new image, in seconds since 1970. */
  readonly epoch: number;
  /** Write over a file that is there. */
  readonly force?: boolean | undefined;
  readonly onWritten?: ((share: number) => void) | undefined;
}

/** What an image has besides its files: descriptors, folders, padding. */
const overheadBytes = 4 * 1024 * 1024;

/**
 * Writes an image in one pass to `<out>.partial`, and then gives it its name. Contents that are known late have their places
 * filled in at the end.
 *
 * @throws EdgeBundleError FILE_FAILED where `out` is there already; NO_SPACE before anything is written; LOCKED, ISO_FAILED, ABORTED
 */
export async function writeIso(options: WriteIsoOptions): Promise<IsoImage> {
  const { out, signal, force = false } = options;
  const folder = dirname(resolve(out));
  await mkdir(folder, { recursive: true }).catch((error: unknown) => {
    throw fileError(error, `cannot make the folder '${folder}'`);
  });
  const lock = await FileLock.acquire(`${out}.lock`, { signal });
  try {
    if (!force && (await isThere(out))) {
      throw new EdgeBundleError('FILE_FAILED', `'${out}' is there already`, {
        hint: 'Remove it, or write over it with --force.',
      });
    }
    const partial = `${resolve(out)}.partial`;
    await rm(partial, { force: true });
    await ensureSpace(folder, options);
    try {
      await writeImage(partial, options);
      const image = await readIsoImage(partial, options.xorriso, { signal });
      ensureBootRecords(options.base, image);
      await fillIn(image, options.entries);
      await rename(partial, resolve(out));
      await syncFolder(folder);
      return { ...image, path: out };
    } catch (error) {
      await rm(partial, { force: true });
      throw fileError(error, `cannot write '${out}'`);
    }
  } finally {
    await lock.release();
  }
}

async function ensureSpace(folder: string, { base, entries }: WriteIsoOptions): Promise<void> {
  const blocks = entries.reduce((sum, entry) => sum + Math.ceil(sizeOf(entry) / isoBlockBytes), 0);
  const needed = (base?.bytes ?? 0) + blocks * isoBlockBytes + overheadBytes;
  const free = await freeBytes(folder);
  if (needed <= free) return;
  throw new EdgeBundleError('NO_SPACE', `the ISO needs ${needed} bytes in '${folder}'; ${free} are free there`, {
    hint: 'Free some space, or choose another place with --out. Nothing was written.',
  });
}

async function writeImage(partial: string, options: WriteIsoOptions): Promise<void> {
  const { xorriso, entries, base, remove = [], label, epoch, signal, onWritten } = options;
  await withTemporaryFolder(async (folder) => {
    const mapped = await Promise.all(entries.map((entry, index) => mapCommand(entry, join(folder, String(index)))));
    const stamp = volumeDate(epoch);
    const drives =
      base === undefined
        ? ['-outdev', `stdio:${partial}`]
        : ['-indev', `stdio:${resolve(base.path)}`, '-outdev', `stdio:${partial}`];
    const commands = [
      ...drives,
      // It would wait for the disk after every 16 MiB. All of it is made durable at the end.
      ...['-stdio_sync', 'off'],
      // Names are names, never patterns.
      ...['-iso_rr_pattern', 'off', '-disk_pattern', 'off', '-follow', 'off', '-hardlinks', 'off'],
      ...['-rockridge', 'on', '-joliet', 'off', '-compliance', 'iso_9660_level=3:rec_mtime'],
      ...(base === undefined ? ['-volid', label ?? ''] : ['-boot_image', 'any', 'replay']),
      ...(remove.length === 0 ? [] : ['-rm_r', ...remove, '--']),
      ...mapped.flat(),
      ...attributeCommands(entries, newFolders(entries, base), epoch),
      ...(base === undefined
        ? ['-volume_date', 'uuid', stamp, '-volume_date', 'c', stamp, '-volume_date', 'm', stamp]
        : volumeDates(base)),
      '-commit',
    ];
    // What is late is made while the image is written: both read the bundle at the same time, and the disk once.
    const late = entries.filter((entry) => entry.kind === 'late').map((entry) => entry.bytes());
    const controller = new AbortController();
    const both = signal === undefined ? controller.signal : AbortSignal.any([signal, controller.signal]);
    const writing = xorriso.run(commands, { signal: both, onWritten });
    writing.catch(() => undefined);
    await Promise.all(late).catch(async (error: unknown) => {
      controller.abort();
      await writing.catch(() => undefined);
      throw error;
    });
    await writing;
  });
}

async function mapCommand(entry: IsoEntry, temporary: string): Promise<string[]> {
  switch (entry.kind) {
    case 'slice':
      return ['-cut_out', await realpath(entry.file), String(entry.offset), String(entry.size), entry.path];
    case 'bytes':
    case 'late':
      await writeFile(temporary, entry.kind === 'bytes' ? entry.bytes : Buffer.alloc(entry.size));
      return ['-map', temporary, entry.path];
    case 'file':
      return ['-map', await realpath(entry.file), entry.path];
    case 'link':
      return ['-map', resolve(entry.file), entry.path];
  }
}

/** Owner, modes, times and order: none of them are this machine's. */
function attributeCommands(entries: readonly IsoEntry[], folders: readonly string[], epoch: number): string[] {
  const files = entries.filter((entry) => entry.kind !== 'link').map(({ path }) => path);
  const executables = entries.filter((entry) => entry.kind === 'file' && entry.executable).map(({ path }) => path);
  const all = [...folders, ...entries.map(({ path }) => path)];
  const each = (command: string, value: string, paths: readonly string[]): string[] =>
    paths.length === 0 ? [] : [command, value, ...paths, '--'];
  return [
    ...each('-chown', '0', all),
    ...each('-chgrp', '0', all),
    ...each('-chmod', '0755', folders),
    ...each('-chmod', '0644', files),
    ...each('-chmod', '0755', executables),
    ...['b', 'c'].flatMap((type) => (all.length === 0 ? [] : ['-alter_date', type, `=${epoch}`, ...all, '--'])),
    // Without it, the order of the content in the image is that of inode numbers.
    ...files.toSorted().flatMap((path, index) => ['-find', path, '-exec', 'sort_weight', String(-1 - index), '--']),
  ];
}

/** The folders that the entries need and the base does not have, from the root down. */
function newFolders(entries: readonly IsoEntry[], base: IsoImage | undefined): string[] {
  const folders = new Set<string>(base === undefined ? ['/'] : []);
  for (const { path } of entries) {
    for (let folder = posix.dirname(path); folder !== '/'; folder = posix.dirname(folder)) {
      if (base?.paths.has(folder) !== true) folders.add(folder);
    }
  }
  return [...folders].sort();
}

/** GRUB looks for its ISO by the modification date. */
function volumeDates({ bootRecords }: IsoImage): string[] {
  const uuid = bootRecords.find((line) => line.startsWith('-volume_date uuid '))?.match(/'(?<date>\d+)'/)?.groups?.date;
  return uuid === undefined ? [] : ['-volume_date', 'uuid', uuid];
}

/** `YYYYMMDDhhmmsscc`, as in ECMA-119, section 8.4.26.1. */
function volumeDate(epoch: number): string {
  const digits = new Date(epoch * 1000).toISOString().replace(/\D/g, '');
  return `${digits.slice(0, 14)}00`;
}

function ensureBootRecords(base: IsoImage | undefined, image: IsoImage): void {
  if (base === undefined) return;
  if (base.bootRecords.join('\n') === image.bootRecords.join('\n')) return;
  const lost = base.bootRecords.filter((line) => !image.bootRecords.includes(line));
  const more = image.bootRecords.filter((line) => !base.bootRecords.includes(line));
  throw new EdgeBundleError(
    'ISO_FAILED',
    `the boot records of '${base.path}' cannot be kept: ${[...lost.map((line) => `lost '${line}'`), ...more.map((line) => `new '${line}'`)].join(', ')}`,
    { hint: 'Put the content on an ISO of its own: edge-bundle iso create.' },
  );
}

/** Puts contents that are known now into their places, and makes the image durable. */
async function fillIn(image: IsoImage, entries: readonly IsoEntry[]): Promise<void> {
  const handle = await open(image.path, 'r+');
  try {
    for (const entry of entries) {
      if (entry.kind === 'slice') await clearPadding(handle, image.files.get(entry.path));
      if (entry.kind !== 'late') continue;
      const bytes = await entry.bytes();
      const place = image.files.get(entry.path);
      const there = Buffer.alloc(entry.size);
      if (place !== undefined) await handle.read(there, 0, entry.size, place.offset);
      if (
        place?.size !== bytes.byteLength ||
        bytes.byteLength !== entry.size ||
        !there.equals(Buffer.alloc(entry.size))
      ) {
        throw new EdgeBundleError(
          'ISO_FAILED',
          `the place of '${entry.path}' on the ISO is not the one that was kept for it`,
        );
      }
      await handle.write(bytes, 0, bytes.byteLength, place.offset);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** xorriso fills the last block of a slice with the bytes that come next in its file. */
async function clearPadding(handle: FileHandle, place: IsoFile | undefined): Promise<void> {
  if (place === undefined) return;
  const padding = Buffer.alloc((isoBlockBytes - (place.size % isoBlockBytes)) % isoBlockBytes);
  await handle.write(padding, 0, padding.byteLength, place.offset + place.size);
}

async function isThere(path: string): Promise<boolean> {
  try {
    await (await open(path, 'r')).close();
    return true;
  } catch {
    return false;
  }
}
