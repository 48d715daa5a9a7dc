import { realpath, writeFile } from 'node:fs/promises';
import { join, posix, resolve } from 'node:path';

import type { IsoEntry } from './iso-entry.ts';
import type { IsoImage } from './iso-image.ts';

export interface ImageCommandsOptions {
  readonly entries: readonly IsoEntry[];
  /** Those of the entries whose contents come last in the image, in order. */
  readonly last: readonly IsoEntry[];
  /** The image that everything else comes from, with its boot records. Default: a new one. */
  readonly base?: IsoImage | undefined;
  /** Paths of the base that go before anything is added. */
  readonly remove?: readonly string[] | undefined;
  /** Of a new one. */
  readonly label?: string | undefined;
  /** The time stamp of what is added, and of a new image, in seconds since 1970. */
  readonly epoch: number;
}

/**
 * What xorriso is told after its drives, to write the image that the options describe.
 *
 * @param folder a temporary one, for what is in no file yet
 */
export async function imageCommands(options: ImageCommandsOptions, folder: string): Promise<string[]> {
  const { entries, base, remove = [], label, epoch } = options;
  const mapped = await Promise.all(entries.map((entry, index) => mapCommand(entry, join(folder, String(index)))));
  const stamp = volumeDate(epoch);
  return [
    // Names are names, never patterns.
    ...['-iso_rr_pattern', 'off', '-disk_pattern', 'off', '-follow', 'off', '-hardlinks', 'off'],
    ...['-rockridge', 'on', '-joliet', 'off', '-compliance', 'iso_9660_level=3:rec_mtime'],
    ...(base === undefined ? ['-volid', label ?? ''] : ['-boot_image', 'any', 'replay']),
    ...(remove.length === 0 ? [] : ['-rm_r', ...remove, '--']),
    ...mapped.flat(),
    ...attributeCommands(options, newFolders(entries, base)),
    ...(base === undefined
      ? ['-volume_date', 'uuid', stamp, '-volume_date', 'c', stamp, '-volume_date', 'm', stamp]
      : volumeDates(base)),
    '-commit',
  ];
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
function attributeCommands(options: ImageCommandsOptions, folders: readonly string[]): string[] {
  const { entries, last, epoch } = options;
  const files = entries.filter((entry) => entry.kind !== 'link').map(({ path }) => path);
  const lastPaths = last.map(({ path }) => path);
  const ordered = [...files.filter((path) => !lastPaths.includes(path)).sort(), ...lastPaths];
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
    ...ordered.flatMap((path, index) => ['-find', path, '-exec', 'sort_weight', String(-1 - index), '--']),
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
