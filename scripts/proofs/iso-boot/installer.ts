import { chmod, copyFile, cp, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';

import type { Processes } from '../../support/processes.ts';

const guest = new URL('guest/', import.meta.url).pathname;

const packages = [
  ...['systemd-sysv', 'udev', 'kmod', 'e2fsprogs', 'openssl', 'ca-certificates', 'docker-registry', 'busybox-static'],
  'linux-image-cloud-amd64',
];
/** What finds the ISO and the system on it: by their files' names. */
const modules = ['virtio_pci', 'virtio_scsi', 'virtio_blk', 'sr_mod', 'isofs', 'loop', 'squashfs', 'overlay', 'ext4'];

/** Makes a bootable ISO from Debian's kernel and packages: GRUB for BIOS and UEFI, an initrd, a small system. */
export async function makeInstaller(processes: Processes, cache: string): Promise<string> {
  const root = join(cache, 'root');
  const archive = join(cache, 'root.tar');
  if (!existsSync(archive)) {
    const without = ['doc', 'man', 'locale', 'info'].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`);
    // By its ending, mmdebstrap makes an archive and no folder.
    const made = join(cache, 'root.new.tar');
    const include = `--include=${packages.join(',')}`;
    await processes.run('mmdebstrap', ['--mode=root', '--variant=minbase', include, ...without, 'bookworm', made]);
    await processes.run('mv', [made, archive]);
  }
  await rm(root, { recursive: true, force: true });
  await mkdir(root);
  await processes.run('tar', ['-xf', archive, '-C', root]);
  await addGuest(root);
  const tree = join(cache, 'iso');
  await rm(tree, { recursive: true, force: true });
  await mkdir(join(tree, 'live'), { recursive: true });
  await mkdir(join(tree, 'boot/grub'), { recursive: true });
  const [kernel = ''] = (await readdir(join(root, 'boot'))).filter((name) => name.startsWith('vmlinuz-'));
  await copyFile(join(root, 'boot', kernel), join(tree, 'boot/vmlinuz'));
  await copyFile(join(guest, 'grub.cfg'), join(tree, 'boot/grub/grub.cfg'));
  await makeInitrd(processes, root, join(tree, 'boot/initrd.gz'));
  const left = ['boot', 'var/lib/apt', 'var/cache', 'usr/share/zoneinfo'];
  const squash = [
    root,
    join(tree, 'live/root.squashfs'),
    '-comp',
    'lz4',
    '-noappend',
    '-quiet',
    '-no-progress',
    '-e',
    ...left,
  ];
  await processes.run('mksquashfs', squash);
  const iso = join(cache, 'installer.iso');
  // xorriso cannot keep the HFS+ that grub-mkrescue adds for old Macs.
  await processes.run('grub-mkrescue', ['-o', iso, tree, '--', '-volid', 'EDGE_INSTALLER', '-hfsplus', 'off']);
  await rm(root, { recursive: true, force: true });
  await rm(tree, { recursive: true, force: true });
  return iso;
}

async function addGuest(root: string): Promise<void> {
  const units = join(root, 'etc/systemd/system');
  for (const name of await readdir(guest)) {
    if (name.endsWith('.service')) await copyFile(join(guest, name), join(units, name));
  }
  await mkdir(join(units, 'multi-user.target.wants'), { recursive: true });
  for (const name of ['proof-setup', 'proof-end']) {
    await cp(join(guest, name), join(root, 'usr/local/sbin', name));
    await chmod(join(root, 'usr/local/sbin', name), 0o755);
    await symlink(`../${name}.service`, join(units, 'multi-user.target.wants', `${name}.service`));
  }
  for (const name of ['docker-registry.service', 'apt-daily.timer', 'apt-daily-upgrade.timer', 'e2scrub_all.timer']) {
    await rm(join(units, name), { force: true });
    await symlink('/dev/null', join(units, name));
  }
  await copyFile(join(guest, 'proof-registry.yml'), join(root, 'etc/proof-registry.yml'));
  await writeFile(join(root, 'etc/machine-id'), 'uninitialized\n');
  // The packaged Node.js strips the types itself.
  const standIn = new URL('harbor-stand-in.ts', import.meta.url).pathname;
  await copyFile(standIn, join(root, 'usr/local/lib/harbor-stand-in.ts'));
}

async function makeInitrd(processes: Processes, root: string, out: string): Promise<void> {
  const folder = `${root}.initrd`;
  await rm(folder, { recursive: true, force: true });
  for (const name of ['bin', 'dev', 'proc', 'sys', 'lib/modules', 'mnt/iso', 'mnt/squash', 'mnt/rw', 'mnt/root']) {
    await mkdir(join(folder, name), { recursive: true });
  }
  await copyFile(join(root, 'bin/busybox'), join(folder, 'bin/busybox'));
  for (const name of ['sh', 'mount', 'umount', 'insmod', 'mkdir', 'sleep', 'switch_root']) {
    await symlink('busybox', join(folder, 'bin', name));
  }
  const [release = ''] = await readdir(join(root, 'lib/modules'));
  const order = new Set<string>();
  for (const module of modules) {
    const { stdout } = await processes.run('chroot', [root, '/sbin/modprobe', '-S', release, '--show-depends', module]);
    for (const [, path] of stdout.matchAll(/^insmod (\S+)/gm)) if (path !== undefined) order.add(path);
  }
  for (const path of order) await copyFile(join(root, path), join(folder, 'lib/modules', basename(path)));
  await writeFile(join(folder, 'lib/modules/order'), `${[...order].map((path) => basename(path)).join('\n')}\n`);
  await copyFile(join(guest, 'init'), join(folder, 'init'));
  await chmod(join(folder, 'init'), 0o755);
  await processes.run('sh', [
    '-c',
    'cd "$1" && find . | LC_ALL=C sort | cpio -o -H newc --quiet | gzip -n >"$2"',
    '-',
    folder,
    out,
  ]);
  await rm(folder, { recursive: true, force: true });
}
