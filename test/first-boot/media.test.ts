import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { parseBlockDevices } from '../../src/first-boot/block-devices.ts';
import { devicesFor, Media } from '../../src/first-boot/media.ts';
import { parseMountTable, readMountTable } from '../../src/first-boot/mount-table.ts';
import { orderBundles } from '../../src/first-boot/order-bundles.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** A host with a disk, a USB stick that holds a hybrid ISO, a USB disk with partitions, and an encrypted one: from util-linux 2.38. */
const lsblk = JSON.stringify({
  blockdevices: [
    {
      ...{ path: '/dev/sda', 'maj:min': '8:0', fstype: null, label: null, partlabel: null },
      ...{ rm: false, hotplug: false, type: 'disk' },
      children: [
        {
          path: '/dev/sda1',
          'maj:min': '8:1',
          fstype: 'ext4',
          label: 'COS_STATE',
          partlabel: 'state',
          rm: false,
          hotplug: false,
          type: 'part',
        },
        {
          path: '/dev/sda2',
          'maj:min': '8:2',
          fstype: 'ext4',
          label: null,
          partlabel: 'COS_CONTENT',
          rm: false,
          hotplug: false,
          type: 'part',
        },
        {
          path: '/dev/sda3',
          'maj:min': '8:3',
          fstype: 'crypto_LUKS',
          label: 'COS_CONTENT',
          partlabel: null,
          rm: false,
          hotplug: false,
          type: 'part',
        },
      ],
    },
    {
      path: '/dev/sdb',
      'maj:min': '8:16',
      fstype: 'iso9660',
      label: 'EDGE CONTENT',
      partlabel: null,
      rm: true,
      hotplug: true,
      type: 'disk',
    },
    {
      ...{
        path: '/dev/sdc',
        'maj:min': '8:32',
        fstype: null,
        label: null,
        partlabel: null,
        rm: '0',
        hotplug: '1',
        type: 'disk',
      },
      children: [
        {
          path: '/dev/sdc1',
          'maj:min': ' 8:33',
          fstype: 'vfat',
          label: 'USB',
          partlabel: null,
          rm: '0',
          hotplug: '0',
          type: 'part',
        },
      ],
    },
    {
      path: '/dev/sr0',
      'maj:min': '11:0',
      fstype: 'iso9660',
      label: 'SECOND',
      partlabel: null,
      rm: false,
      hotplug: false,
      type: 'rom',
    },
  ],
});

describe('the disks of a host', () => {
  const devices = parseBlockDevices(lsblk);

  it('are found by the label of a file system or of a partition', () => {
    expect(devicesFor({ label: 'COS_CONTENT' }, devices).map(({ path }) => path)).toEqual(['/dev/sda2']);
    expect(devicesFor({ label: 'EDGE CONTENT' }, devices)).toMatchObject([{ path: '/dev/sdb', fileSystem: 'iso9660' }]);
    expect(devicesFor({ label: 'absent' }, devices)).toEqual([]);
  });

  it('are removable where the disk below them is', () => {
    expect(devicesFor({ removable: true }, devices).map(({ path, number }) => `${path} ${number}`)).toEqual([
      '/dev/sdb 8:16',
      '/dev/sdc1 8:33',
      '/dev/sr0 11:0',
    ]);
  });

  it('may be formatted as most USB disks are', () => {
    for (const fileSystem of ['vfat', 'exfat', 'ntfs', 'ext4', 'iso9660', 'udf']) {
      const device = { path: '/dev/sdb1', number: '8:17', fileSystem, labels: ['USB'], isRemovable: true };
      expect(devicesFor({ removable: true }, [device])).toEqual([device]);
    }
  });

  it('are not guessed from what is no list', () => {
    for (const text of ['', '{}', '{"blockdevices":[{"path":"sda"}]}'])
      expect(() => parseBlockDevices(text)).toThrow(/lsblk/);
  });

  it('are known to be mounted as a whole', () => {
    const table = [
      '30 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw',
      '31 30 8:2 /folder /bound rw - ext4 /dev/sda2 rw',
      '32 30 8:2 / /run/my\\040content ro master:2 - ext4 /dev/sda2 ro',
    ].join('\n');
    expect(parseMountTable(table)).toEqual([
      { deviceNumber: '8:1', mountPoint: '/' },
      { deviceNumber: '8:2', mountPoint: '/run/my content' },
    ]);
  });
});

describe('bundles', () => {
  it('come after their base, and else stay in their order', () => {
    const made = (id: string, baseId?: string) => ({ id, baseId });
    const ordered = orderBundles([made('c', 'b'), made('z'), made('b', 'a'), made('x', 'absent'), made('a')]);
    expect(ordered.map(({ id }) => id)).toEqual(['a', 'b', 'c', 'z', 'x']);
    expect(orderBundles([made('p', 'q'), made('q', 'p')]).map(({ id }) => id)).toHaveLength(2);
  });
});

/** Why no disk can be made here; undefined where it can. */
const whyNoDisk = tryLoop();

function tryLoop(): string | undefined {
  if (!existsSync('/usr/sbin/mkfs.ext4') && !existsSync('/sbin/mkfs.ext4')) return 'there is no mkfs.ext4';
  try {
    execFileSync('losetup', ['--find'], { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    return `there are no loop devices here: ${String(error)}`;
  }
}

describe.skipIf(whyNoDisk !== undefined)('a disk with a label', () => {
  let folder: string;
  let device: string;
  const label = `EB${process.pid}`.slice(0, 16);

  beforeAll(async () => {
    folder = await temporaryFolder();
    const image = join(folder, 'disk.img');
    await mkdir(join(folder, 'files', 'content-1f'), { recursive: true });
    await writeFile(join(folder, 'files', 'content-1f', 'core.txt'), 'content');
    await writeFile(image, Buffer.alloc(8 * 1024 * 1024));
    execFileSync('mkfs.ext4', ['-q', '-L', label, '-d', join(folder, 'files'), image], { stdio: 'pipe' });
    device = execFileSync('losetup', ['--find', '--show', image], { encoding: 'utf8' }).trim();
  });

  afterAll(() => {
    execFileSync('losetup', ['--detach', device]);
  });

  it('is mounted read-only, once, and unmounted', async () => {
    const media = new Media([{ label, path: 'content-1f' }, { label: 'ABSENT' }], join(folder, 'run'));
    const found = await media.find();
    expect(found).toMatchObject({ absent: ["the label 'ABSENT'"], problems: [] });
    const place = found.media[0]?.folder ?? '';
    expect(found.media[0]?.name).toBe(`'${label}' (${device})`);
    expect(await readFile(join(place, 'core.txt'), 'utf8')).toBe('content');
    await expect(writeFile(join(place, 'new'), '')).rejects.toThrow(/EROFS/);
    expect((await media.find()).media).toEqual(found.media);
    const ours = (await readMountTable()).filter(({ mountPoint }) => mountPoint.startsWith(folder));
    expect(ours).toHaveLength(1);
    await media.close();
    expect((await readMountTable()).filter(({ mountPoint }) => mountPoint.startsWith(folder))).toEqual([]);
  });

  it('is used where it is mounted already, and left there', async () => {
    const elsewhere = join(folder, 'elsewhere');
    await mkdir(elsewhere);
    execFileSync('mount', ['-o', 'ro', device, elsewhere]);
    try {
      const media = new Media([{ label }], join(folder, 'run'));
      expect((await media.find()).media.map((medium) => medium.folder)).toEqual([elsewhere]);
      await media.close();
      expect((await readMountTable()).map(({ mountPoint }) => mountPoint)).toContain(elsewhere);
    } finally {
      execFileSync('umount', [elsewhere]);
    }
  });

  it('that a killed run has left mounted is unmounted by the next', async () => {
    const killed = new Media([{ label }], join(folder, 'run'));
    const place = (await killed.find()).media[0]?.folder ?? '';
    const next = new Media([{ label }], join(folder, 'run'));
    await next.clean();
    expect((await readMountTable()).map(({ mountPoint }) => mountPoint)).not.toContain(place);
    expect((await next.find()).media).toHaveLength(1);
    await next.close();
    await rm(join(folder, 'run'), { recursive: true });
  });
});
