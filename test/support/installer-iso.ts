import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { noise } from './graphs.ts';
import { runProgram } from './run-program.ts';
import { temporaryFolder } from './temporary-folder.ts';

/**
 * An ISO with the boot records of an installer, made by xorriso as installers are: El Torito for BIOS and for UEFI, a hybrid MBR
 * and a GPT with an EFI system partition. Nothing that it boots is in it.
 */
export async function installerIso(files: Readonly<Record<string, string>> = {}): Promise<string> {
  const folder = await temporaryFolder();
  const root = join(folder, 'root');
  const all = { '/boot/vmlinuz': 'kernel', '/boot/grub/grub.cfg': 'menu', ...files };
  for (const [path, text] of Object.entries(all)) {
    await mkdir(join(root, path, '..'), { recursive: true });
    await writeFile(join(root, path), text);
  }
  await writeFile(join(root, 'boot/eltorito.img'), noise(32 * 1024, 'eltorito'));
  await writeFile(join(root, 'boot/uefi.img'), noise(1024 * 1024, 'uefi'));
  await writeFile(join(folder, 'mbr.img'), noise(512, 'mbr'));
  const iso = join(folder, 'installer.iso');
  runProgram('xorriso', [
    ...['-no_rc', '-outdev', iso, '-volid', 'COS_LIVE', '-rockridge', 'on', '-map', root, '/'],
    ...[
      '-boot_image',
      'grub',
      'bin_path=/boot/eltorito.img',
      '-boot_image',
      'grub',
      `grub2_mbr=${join(folder, 'mbr.img')}`,
    ],
    ...['-boot_image', 'grub', 'grub2_boot_info=on', '-boot_image', 'any', 'partition_offset=16'],
    ...['-boot_image', 'any', 'cat_path=/boot/boot.catalog', '-boot_image', 'any', 'cat_hidden=on'],
    ...['-boot_image', 'any', 'boot_info_table=on', '-boot_image', 'any', 'platform_id=0x00'],
    ...['-boot_image', 'any', 'emul_type=no_emulation', '-boot_image', 'any', 'load_size=2048'],
    ...['-append_partition', '2', '0xef', join(root, 'boot/uefi.img'), '-boot_image', 'any', 'next'],
    ...[
      '-boot_image',
      'any',
      'efi_path=--interval:appended_partition_2:all::',
      '-boot_image',
      'any',
      'platform_id=0xef',
    ],
    ...['-boot_image', 'any', 'emul_type=no_emulation', '-commit'],
  ]);
  return iso;
}

/** The bytes of a file on an ISO, as xorriso extracts them. */
export async function extractFrom(iso: string, path: string): Promise<string> {
  const out = join(await temporaryFolder(), 'out');
  runProgram('xorriso', ['-no_rc', '-osirrox', 'on', '-indev', iso, '-extract', path, out]);
  return out;
}
