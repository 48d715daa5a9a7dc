import { statfs } from 'node:fs/promises';

/** `f_type` of statfs(2): file systems on a disk, or in the memory, that one machine has at a time. */
const localTypes: ReadonlySet<number> = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // XFS
  0x9123683e, // Btrfs
  0xf2f52010, // F2FS
  0x2fc12fc1, // ZFS
  0x4d44, // FAT
  0x2011bab0, // exFAT
  0x01021994, // tmpfs
  0x794c7630, // overlayfs
]);

/** Whether what holds `path` is known to be a disk of this machine; false for shares, for what is unknown, and where nothing is there. */
export async function isOnLocalDisk(path: string): Promise<boolean> {
  try {
    return isLocalFileSystem((await statfs(path)).type);
  } catch {
    return false;
  }
}

/** @param type `f_type` of statfs(2) */
export function isLocalFileSystem(type: number): boolean {
  return localTypes.has(type);
}
