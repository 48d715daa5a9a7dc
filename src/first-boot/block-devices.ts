import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { z } from 'zod';

import { EdgeBundleError, errorMessage, systemErrorCode } from '../errors.ts';

/** Something with a file system on it: a disk, a partition, an optical disk. */
export interface BlockDevice {
  /** `/dev/sdb1` */
  readonly path: string;
  /** `8:17`, as in /proc/self/mountinfo. */
  readonly number: string;
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
 * The file systems on this host's disks, as `lsblk` of util-linux knows them: from udev or, where there is none, from the
 * disks themselves.
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
  return parseBlockDevices(output);
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
  if (typeof fstype !== 'string' || fstype === '') return below;
  const labels = [label, partlabel].filter((text) => typeof text === 'string' && text !== '') as readonly string[];
  return [{ path, number: row['maj:min'], fileSystem: fstype, labels, isRemovable }, ...below];
}
