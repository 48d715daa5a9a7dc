import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';

import * as z from 'zod';

import { EdgeBundleError, errorMessage, systemErrorCode } from '../errors.ts';

/** Something with a file system on it: a disk, a partition, an optical disk. */
export interface BlockDevice {
  /** `/dev/sdb1` */
  readonly path: string;
  /** `8:17`, as in /proc/self/mountinfo. */
  readonly number: string;
  /** Empty where there is none, or none that is known. */
  readonly fileSystem: string;
  /** Of the file system and of the GPT partition, where they have one. */
  readonly labels: readonly string[];
  /** It, or the disk that it is on, can be taken away. */
  readonly isRemovable: boolean;
}

/** Where a host has `lsblk`, `mount` and `systemd-notify`: a service's PATH may lack some of it. */
export const systemPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const columns = 'PATH,MAJ:MIN,FSTYPE,LABEL,PARTLABEL,RM,HOTPLUG,TYPE';
const timeoutMs = 30_000;

/** util-linux before 2.33 writes booleans as "0" and "1". */
const flag = z.union([z.boolean(), z.enum(['0', '1']).transform((text) => text === '1')]).nullish();

interface Row {
  readonly path: string;
  readonly 'maj:min': string;
  readonly fstype?: string | null | undefined;
  readonly label?: string | null | undefined;
  readonly partlabel?: string | null | undefined;
  readonly rm?: boolean | null | undefined;
  readonly hotplug?: boolean | null | undefined;
  readonly type?: string | null | undefined;
  readonly children?: readonly Row[] | undefined;
}

const rowSchema: z.ZodType<Row> = z.object({
  path: z.string().startsWith('/dev/'),
  'maj:min': z.string().transform((text) => text.trim()),
  fstype: z.string().nullish(),
  label: z.string().nullish(),
  partlabel: z.string().nullish(),
  rm: flag,
  hotplug: flag,
  type: z.string().nullish(),
  get children(): z.ZodOptional<z.ZodArray<z.ZodType<Row>>> {
    return z.array(rowSchema).optional();
  },
});

const listSchema = z.object({ blockdevices: z.array(rowSchema) });

/**
 * The disks of this host and what is on them, as `lsblk` of util-linux knows it from udev; where there is none, as `blkid` finds
 * it on the disks themselves.
 *
 * @throws EdgeBundleError FILE_FAILED where `lsblk` is not there or fails, ABORTED
 */
export async function listBlockDevices(signal?: AbortSignal): Promise<readonly BlockDevice[]> {
  let output: string;
  try {
    const options = { env: { PATH: systemPath, LC_ALL: 'C' }, timeout: timeoutMs, ...(signal && { signal }) };
    ({ stdout: output } = await promisify(execFile)('lsblk', ['--json', '--output', columns], options));
  } catch (cause) {
    const isMissing = systemErrorCode(cause) === 'ENOENT';
    throw new EdgeBundleError('FILE_FAILED', `cannot list the disks: ${errorMessage(cause).split('\n', 1)[0] ?? ''}`, {
      hint: isMissing
        ? "Sources by label, and removable ones, need 'lsblk' of util-linux; a directory does not."
        : "Look at what 'lsblk --json' says.",
      cause,
    });
  }
  const devices = parseBlockDevices(output);
  if (existsSync('/run/udev/data')) return devices;
  // Without udev nobody has looked at the disks yet.
  return Promise.all(devices.map(async (device) => (device.fileSystem === '' ? probe(device, signal) : device)));
}

/** What `blkid` finds on the disk itself. What it cannot read, or does not know, has no file system for us. */
async function probe(device: BlockDevice, signal: AbortSignal | undefined): Promise<BlockDevice> {
  const options = { env: { PATH: systemPath, LC_ALL: 'C' }, timeout: timeoutMs, ...(signal && { signal }) };
  const args = ['--probe', '--output', 'export', '--', device.path];
  const { stdout } = await promisify(execFile)('blkid', args, options).catch(() => ({ stdout: '' }));
  const value = (name: string): string => new RegExp(`^${name}=(.+)$`, 'm').exec(stdout)?.[1] ?? '';
  const labels = [value('LABEL'), value('PART_ENTRY_NAME')].map((text) => text.replace(/\\(.)/g, '$1'));
  return { ...device, fileSystem: value('TYPE'), labels: labels.filter((text) => text !== '') };
}

/** @throws EdgeBundleError FILE_FAILED where that is not the JSON of `lsblk` */
export function parseBlockDevices(output: string): readonly BlockDevice[] {
  let rows: readonly Row[];
  try {
    rows = listSchema.parse(JSON.parse(output)).blockdevices;
  } catch (cause) {
    throw new EdgeBundleError('FILE_FAILED', "cannot list the disks: 'lsblk' answers something unknown", { cause });
  }
  return rows.flatMap((row) => devicesOf(row, false));
}

function devicesOf(row: Row, isOnRemovable: boolean): readonly BlockDevice[] {
  const { path, fstype, label, partlabel, type } = row;
  const isRemovable = isOnRemovable || row.rm === true || row.hotplug === true || type === 'rom';
  const below = (row.children ?? []).flatMap((child) => devicesOf(child, isRemovable));
  const labels = [label, partlabel].filter((text) => typeof text === 'string' && text !== '') as readonly string[];
  return [{ path, number: row['maj:min'], fileSystem: fstype ?? '', labels, isRemovable }, ...below];
}
