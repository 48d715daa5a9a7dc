import { execFile } from 'node:child_process';
import { mkdir, rmdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';

import { EdgeBundleError, errorMessage, isEdgeBundleError, systemErrorCode, throwIfAborted } from '../errors.ts';
import { fileError } from '../files/file-error.ts';
import { type BlockDevice, listBlockDevices, systemPath } from './block-devices.ts';
import type { ContentSource } from './config-schema.ts';
import { readMountTable } from './mount-table.ts';

/** A folder that bundles may lie in. */
export interface Medium {
  /** For people: `'/opt/spectrocloud/content'`, `'COS_CONTENT' (/dev/vda3)`. */
  readonly name: string;
  readonly folder: string;
  /** A link on a foreign medium could lead to anything of this host. */
  readonly followsLinks: boolean;
}

export interface FoundMedia {
  readonly media: readonly Medium[];
  /** Sources that are not there now. */
  readonly absent: readonly string[];
  /** What is there and cannot be used. */
  readonly problems: readonly EdgeBundleError[];
}

/**
 * The file systems that are mounted, with the options that keep a mount from writing: the journal of ext4 and xfs would be
 * replayed on a read-only mount too. Others are no place for bundles (swap, LUKS, members of RAID), or not known to be safe.
 */
const mountOptions: Readonly<Record<string, string>> = {
  iso9660: '',
  udf: '',
  squashfs: '',
  erofs: '',
  vfat: '',
  exfat: '',
  ntfs: '',
  ext2: '',
  ext3: ',noload',
  ext4: ',noload',
  xfs: ',norecovery',
  btrfs: '',
};

/** What the kernel calls a file system, where `lsblk` calls it something else. */
const kernelNames: Readonly<Record<string, string>> = { ntfs: 'ntfs3' };

const timeoutMs = 60_000;

/**
 * The places that the configuration names. Disks are mounted read-only, once, below a folder of our own, until `close`; a
 * disk that is mounted already is used where it is.
 */
export class Media {
  readonly #sources: readonly ContentSource[];
  readonly #folder: string;
  /** Device number to mount point: ours. */
  readonly #mounted = new Map<string, string>();

  constructor(sources: readonly ContentSource[], mountDir: string) {
    this.#sources = sources;
    this.#folder = join(mountDir, 'media');
  }

  /** Unmounts what a run before this one, which was killed, has left. @throws EdgeBundleError FILE_FAILED */
  async clean(): Promise<void> {
    const table = await readMountTable();
    const left = table.filter(({ mountPoint }) => mountPoint.startsWith(`${this.#folder}/`));
    for (const { mountPoint } of left.toReversed()) await unmount(mountPoint);
  }

  /** Looks for all sources. @throws EdgeBundleError ABORTED */
  async find(signal?: AbortSignal): Promise<FoundMedia> {
    const media: Medium[] = [];
    const absent: string[] = [];
    const problems: EdgeBundleError[] = [];
    const attempt = async (task: () => Promise<void>): Promise<void> => {
      throwIfAborted(signal);
      try {
        await task();
      } catch (error) {
        throwIfAborted(signal);
        if (!isEdgeBundleError(error)) throw error;
        problems.push(error);
      }
    };
    let devices: readonly BlockDevice[] = [];
    if (this.#sources.some((source) => !('directory' in source))) {
      await attempt(async () => {
        devices = await listBlockDevices(signal);
        await this.#forgetRemoved(devices);
      });
    }
    for (const source of this.#sources) {
      if ('directory' in source) {
        const { directory } = source;
        await attempt(async () => {
          if (await isFolder(directory)) media.push({ name: `'${directory}'`, folder: directory, followsLinks: true });
          else absent.push(`'${directory}'`);
        });
        continue;
      }
      const matching = devicesFor(source, devices);
      if (matching.length === 0) absent.push('label' in source ? `the label '${source.label}'` : 'a removable disk');
      for (const device of matching) {
        await attempt(async () => {
          const mountPoint = await this.#mount(device, signal);
          const folder = join(mountPoint, source.path ?? '');
          const name = `'${device.labels[0] ?? device.fileSystem}' (${device.path})`;
          if (media.some((medium) => medium.folder === folder)) return;
          if (await isFolder(folder)) media.push({ name, folder, followsLinks: false });
          else absent.push(`the folder '${source.path ?? ''}' on ${name}`);
        });
      }
    }
    return { media, absent, problems };
  }

  /** Unmounts what was mounted here. What is busy goes as soon as it is not. */
  async close(): Promise<void> {
    const mounted = [...this.#mounted.values()];
    this.#mounted.clear();
    const results = await Promise.allSettled(mounted.map((mountPoint) => unmount(mountPoint)));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  /** @returns where it is mounted */
  async #mount(device: BlockDevice, signal: AbortSignal | undefined): Promise<string> {
    const table = await readMountTable();
    const place = table.find(({ deviceNumber }) => deviceNumber === device.number)?.mountPoint;
    if (place !== undefined) return place;
    const mountPoint = join(this.#folder, basename(device.path));
    try {
      await mkdir(mountPoint, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw fileError(error, `cannot mount ${device.path}`);
    }
    const options = `ro,nosuid,nodev,noexec${mountOptions[device.fileSystem] ?? ''}`;
    // Without helpers of other file systems, and without what /etc/fstab says.
    const args = [
      '-i',
      '-t',
      kernelNames[device.fileSystem] ?? device.fileSystem,
      '-o',
      options,
      '--',
      device.path,
      mountPoint,
    ];
    await runSystemProgram('mount', args, signal).catch((cause: unknown) => {
      throw new EdgeBundleError('FILE_FAILED', `cannot mount ${device.path} (${device.fileSystem}): ${reason(cause)}`, {
        hint: 'Content on other media is loaded all the same. The kernel must know the file system, and the disk must be readable.',
        cause,
      });
    });
    this.#mounted.set(device.number, mountPoint);
    return mountPoint;
  }

  async #forgetRemoved(devices: readonly BlockDevice[]): Promise<void> {
    for (const [number, mountPoint] of this.#mounted) {
      if (devices.some((device) => device.number === number)) continue;
      await unmount(mountPoint);
      this.#mounted.delete(number);
    }
  }
}

/** The devices that a source means, and that can be mounted. */
export function devicesFor(
  source: Exclude<ContentSource, { readonly directory: string }>,
  devices: readonly BlockDevice[],
): readonly BlockDevice[] {
  return devices
    .filter(({ fileSystem }) => mountOptions[fileSystem] !== undefined)
    .filter(({ labels, isRemovable }) => ('label' in source ? labels.includes(source.label) : isRemovable));
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT' || systemErrorCode(error) === 'ENOTDIR') return false;
    throw fileError(error, `cannot look into '${path}'`);
  }
}

/** A file on it that is still open, or a disk that was taken away, must not keep us. */
async function unmount(mountPoint: string): Promise<void> {
  await runSystemProgram('umount', ['--lazy', '--', mountPoint]).catch((cause: unknown) => {
    throw new EdgeBundleError('FILE_FAILED', `cannot unmount '${mountPoint}': ${reason(cause)}`, { cause });
  });
  await rmdir(mountPoint).catch(() => undefined);
}

async function runSystemProgram(name: string, args: readonly string[], signal?: AbortSignal): Promise<void> {
  const options = { env: { PATH: systemPath, LC_ALL: 'C' }, timeout: timeoutMs, ...(signal && { signal }) };
  await promisify(execFile)(name, [...args], options);
}

function reason(cause: unknown): string {
  const isOutput = cause instanceof Error && 'stderr' in cause && typeof cause.stderr === 'string';
  const text = isOutput && cause.stderr !== '' ? (cause.stderr as string) : errorMessage(cause);
  return text.trim().split('\n', 1)[0] ?? '';
}
