import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { isLocalFileSystem, isOnLocalDisk } from '../../src/files/local-disk.ts';
import { runProgram } from '../support/run-program.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const local = ['ext2/ext3', 'xfs', 'btrfs', 'f2fs', 'zfs', 'msdos', 'exfat', 'tmpfs', 'overlayfs'];

describe('a disk of this machine', () => {
  it('is what coreutils, too, calls by such a name', async () => {
    for (const path of [await temporaryFolder(), '/proc']) {
      const name = runProgram('stat', ['--file-system', '--format=%T', path]).toString().trim();
      expect(await isOnLocalDisk(path), name).toBe(local.includes(name));
    }
  });

  // linux/magic.h: NFS, SMB2, 9P, FUSE, CephFS, virtiofs is FUSE, AFS.
  it.each([0x6969, 0xfe534d42, 0x01021997, 0x65735546, 0x00c36400, 0x5346414f])('is no share: %i', (type) => {
    expect(isLocalFileSystem(type)).toBe(false);
  });

  it('is not where nothing is', async () => {
    expect(await isOnLocalDisk(join(await temporaryFolder(), 'absent'))).toBe(false);
  });
});
