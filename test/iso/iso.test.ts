import { generateKeyPairSync } from 'node:crypto';
import { truncateSync } from 'node:fs';
import {
  chmod,
  cp,
  mkdir,
  open,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { beforeAll, describe, expect, it, vi } from 'vitest';

import { writeParts } from '../../src/bundle/write-parts.ts';
import { createIso, type CreateIsoOptions } from '../../src/iso/create-iso.ts';
import { embedIso } from '../../src/iso/embed-iso.ts';
import { inspectIso } from '../../src/iso/inspect-iso.ts';
import { Xorriso } from '../../src/iso/xorriso.ts';
import { readPublicKeys } from '../../src/trust/read-public-keys.ts';
import { signBundle } from '../../src/trust/sign-bundle.ts';
import { readSigner } from '../../src/trust/signer.ts';
import { trustOf } from '../../src/trust/trust-policy.ts';
import { bootReport } from '../support/boot-report.ts';
import { everyKind, writeBundle } from '../support/bundles.ts';
import { gnuSplit } from '../support/cut-bundle.ts';
import { expectError } from '../support/expect-error.ts';
import { extractFrom, installerIso } from '../support/installer-iso.ts';
import { runProgram } from '../support/run-program.ts';
import { whyNoMount, withSmallDisk } from '../support/small-disk.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { runInProcess } from '../cli/run-cli.ts';

const partBytes = 900_000;
const content = '/opt/spectrocloud/content';

let xorriso: Xorriso;
let path: string;
let bytes: Buffer;
let folder: string;
let installer: string;
let publicKey: string;
let extras: Pick<CreateIsoOptions, 'loader' | 'firstBootConfig' | 'mirrorConfig' | 'publicKey'>;

beforeAll(async () => {
  xorriso = await Xorriso.find();
  path = await writeBundle(await temporaryFolder(), await everyKind());
  const pair = generateKeyPairSync('ed25519');
  const signers = [
    readSigner({ name: 'key', text: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }),
  ];
  await signBundle(path, { signers });
  bytes = await readFile(path);
  folder = await temporaryFolder();
  installer = await installerIso();
  publicKey = join(folder, 'content.pub');
  await writeFile(publicKey, pair.publicKey.export({ type: 'spki', format: 'pem' }));
  extras = { publicKey, ...(await extraFiles()) };
});

/** As other commands make them: a program with a link, a configuration, a folder with a deep path. */
async function extraFiles(): Promise<{ loader: string; firstBootConfig: string; mirrorConfig: string }> {
  const [loader, mirrorConfig, firstBootConfig] = [
    join(folder, 'loader'),
    join(folder, 'mirror'),
    join(folder, 'first.yaml'),
  ];
  await mkdir(join(loader, 'bin'), { recursive: true });
  await writeFile(join(loader, 'bin/edge-bundle'), '#!/bin/sh\necho loader\n');
  await chmod(join(loader, 'bin/edge-bundle'), 0o755);
  await mkdir(join(loader, 'share/first-boot'), { recursive: true });
  await writeFile(join(loader, 'share/first-boot/edge-bundle-first-boot.service'), '[Unit]\n');
  await symlink('bin/edge-bundle', join(loader, 'run'));
  for (const name of ["a b/it's/docker.io", '[::1]:5000', '*?']) {
    await mkdir(join(mirrorConfig, name), { recursive: true });
    await writeFile(join(mirrorConfig, name, 'config'), name);
  }
  await writeFile(join(mirrorConfig, "a b/it's/docker.io/hosts.toml"), 'server = "x"\n');
  await writeFile(firstBootConfig, 'sources: [{label: EDGE_CONTENT}]\n');
  return { loader, mirrorConfig, firstBootConfig };
}

async function make(name: string, options: Partial<CreateIsoOptions> = {}): Promise<string> {
  const out = join(folder, name);
  await createIso({ xorriso, bundles: [path], out, partBytes, ...extras, ...options });
  return out;
}

/** Everything on an ISO, unpacked. */
async function unpack(iso: string): Promise<string> {
  const target = join(await temporaryFolder(), 'iso');
  runProgram('xorriso', ['-no_rc', '-osirrox', 'on', '-indev', iso, '-extract', '/', target]);
  runProgram('chmod', ['-R', 'u+w', target]);
  return target;
}

async function flip(file: string, position: number): Promise<void> {
  const handle = await open(file, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, position);
  await handle.write(Buffer.from([byte.readUInt8() ^ 1]), 0, 1, position);
  await handle.close();
}

function offsetOf(iso: string, file: string): number {
  const report = runProgram('xorriso', ['-no_rc', '-indev', iso, '-find', file, '-exec', 'report_lba']).toString();
  return Number(/lba: +0 , +(\d+)/.exec(report)?.[1]) * 2048;
}

describe('iso create', () => {
  it('puts everything on it, and sha256sum finds it as it was made', async () => {
    const root = await unpack(await make('all.iso'));
    const sums = await readFile(join(root, 'SHA256SUMS'), 'utf8');
    const check = runProgram('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: root }).toString();
    expect(check.match(/: OK$/gm)).toHaveLength(sums.split('\n').length - 1);
    const files = runProgram('find', ['.', '-type', 'f', '!', '-name', 'SHA256SUMS'], { cwd: root }).toString();
    expect(
      sums
        .match(/ {2}(.*)$/gm)
        ?.map((line) => line.slice(2))
        .sort(),
    ).toEqual(files.trim().split('\n').sort());
    expect(runProgram('sh', ['-c', `cat ".${content}/"*_part*`], { cwd: root }).equals(bytes)).toBe(true);
    expect(runProgram(join(root, 'opt/edge-bundle/run'), []).toString()).toBe('loader\n');
    expect(await readFile(join(root, 'keys/content.pub'), 'utf8')).toContain('BEGIN PUBLIC KEY');
    expect((await readdir(join(root, 'first-boot'))).sort()).toEqual([
      'edge-bundle-first-boot.service',
      'first-boot.yaml',
    ]);
    const readMe = await readFile(join(root, 'README.txt'), 'utf8');
    expect(readMe).toContain('sha256sum -c SHA256SUMS');
    expect(readMe).toContain(basename(path));
  });

  it('gives the same bytes for the same content, from another place and in parts too', async () => {
    const first = await readFile(await make('one.iso', { sourceDateEpoch: 1_700_000_000 }));
    const copy = join(await temporaryFolder(), 'copy');
    for (const from of ['mirror', 'loader', 'first.yaml', 'content.pub'])
      await cp(join(folder, from), join(copy, from), { recursive: true, verbatimSymlinks: true });
    await writeParts(path, { partBytes, out: join(copy, 'parts') });
    await utimes(join(copy, 'first.yaml'), 1, 1);
    const other = await make('two.iso', {
      ...{ sourceDateEpoch: 1_700_000_000, bundles: [join(copy, 'parts')] },
      ...{ loader: join(copy, 'loader'), mirrorConfig: join(copy, 'mirror') },
      ...{ firstBootConfig: join(copy, 'first.yaml'), publicKey: join(copy, 'content.pub') },
    });
    expect((await readFile(other)).equals(first)).toBe(true);
    expect(first.toString('latin1', 32 * 1024).includes('2023111422132000')).toBe(true);
  });

  it('is written once, in about the size of what is on it', async () => {
    const { size } = await stat(await make('size.iso'));
    expect(size).toBeLessThan(bytes.byteLength * 1.02 + 600_000);
    expect((await readdir(folder)).filter((name) => /partial|lock/.test(name))).toEqual([]);
  });

  it('has the label that is asked for, and refuses one that cannot be', async () => {
    const iso = await make('label.iso', { label: 'Store-42' });
    expect(runProgram('blkid', ['-o', 'value', '-s', 'LABEL', iso]).toString()).toBe('Store-42\n');
    await expectError('CONFIG_INVALID', 'label', () => make('x.iso', { label: 'a/b' }));
    await expectError('CONFIG_INVALID', 'label', () => make('x.iso', { label: 'x'.repeat(33) }));
  });

  it('does not write over a file, and leaves nothing of what fails', async () => {
    const out = join(folder, 'there.iso');
    await writeFile(out, 'mine');
    await expectError('FILE_FAILED', 'is there already', () => make('there.iso'));
    expect(await readFile(out, 'utf8')).toBe('mine');
    await make('there.iso', { force: true });
    expect((await stat(out)).size).toBeGreaterThan(bytes.byteLength);
    const before = (await readdir(folder)).sort();
    const parts = join(await temporaryFolder(), 'parts');
    const { paths } = await writeParts(path, { partBytes, out: parts });
    await flip(paths[1] ?? '', 5000);
    await expectError('BUNDLE_INVALID', `_part01' is not as the list`, () => make('bad.iso', { bundles: [parts] }));
    await expectError('CONFIG_INVALID', 'given twice', () => make('bad.iso', { bundles: [path, path] }));
    await expectError('CONFIG_INVALID', 'no loader package', () => make('bad.iso', { loader: join(folder, 'mirror') }));
    expect((await readdir(folder)).sort()).toEqual(before);
  });

  it('puts files on it where links of this machine lead to them', async () => {
    const [links, parts] = [join(await temporaryFolder(), 'links'), join(await temporaryFolder(), 'parts')];
    await mkdir(links);
    const { paths, list } = await writeParts(path, { partBytes, out: parts });
    for (const file of [...paths, list]) await symlink(file, join(links, basename(file)));
    expect((await inspectIso(await make('links.iso', { bundles: [links] }), { xorriso })).failures).toEqual([]);
    const link = join(links, 'core.tar.zst');
    await symlink(path, link);
    const whole = await make('whole.iso', { bundles: [link] });
    const { bundles, failures } = await inspectIso(whole, { xorriso });
    expect(failures).toEqual([]);
    expect(bundles).toMatchObject([{ isVerified: true, bytes: bytes.byteLength }]);
  });

  it.skipIf(whyNoMount !== undefined)('is not begun where it does not fit', async () => {
    await withSmallDisk(bytes.byteLength, async (disk) => {
      const out = join(disk, 'large.iso');
      const error = await expectError('NO_SPACE', 'the ISO needs', () => createIso({ xorriso, bundles: [path], out }));
      expect(error.hint).toContain('Nothing was written');
      expect(await readdir(disk)).toEqual([]);
    });
  });

  it('never takes a private key', async () => {
    const key = join(await temporaryFolder(), 'key');
    const { privateKey } = generateKeyPairSync('ed25519');
    await writeFile(key, privateKey.export({ type: 'pkcs8', format: 'pem' }));
    await expectError('KEY_INVALID', 'private key', () => make('key.iso', { publicKey: key }));
    await expectError('KEY_INVALID', 'private key', () =>
      embedIso({ xorriso, iso: installer, out: join(folder, 'key.iso'), bundles: [path], publicKey: key }),
    );
  });

  it('ends in order when it is interrupted', async () => {
    const controller = new AbortController();
    controller.abort();
    await expectError('ABORTED', 'interrupted', () => make('stopped.iso', { signal: controller.signal }));
    expect((await readdir(folder)).filter((name) => name.startsWith('stopped'))).toEqual([]);
  });

  it('ends in order when it is interrupted while parts are written', async () => {
    const controller = new AbortController();
    const stopped = make('stopped.iso', { signal: controller.signal, onProgress: () => controller.abort() });
    await expectError('ABORTED', 'interrupted', () => stopped);
    expect((await readdir(folder)).filter((name) => name.startsWith('stopped'))).toEqual([]);
  });

  it('says which part it writes is not on the disk any more', async () => {
    const parts = join(await temporaryFolder(), 'parts');
    const { paths } = await writeParts(path, { partBytes, out: parts });
    const shortened = make('shortened.iso', {
      bundles: [parts],
      onProgress: () => truncateSync(paths.at(-1) ?? '', 1),
    });
    await expectError('BUNDLE_INVALID', basename(paths.at(-1) ?? ''), () => shortened);
    expect((await readdir(folder)).filter((name) => name.startsWith('shortened'))).toEqual([]);
  });
});

describe('iso embed', () => {
  it('keeps all boot records, and adds content, public key and cluster definition', async () => {
    const definition = join(folder, 'spc.tgz');
    await writeFile(definition, 'a definition');
    const out = join(folder, 'embedded.iso');
    const before = await readFile(installer);
    await embedIso({
      ...{ xorriso, iso: installer, out, partBytes, publicKey, bundles: [path] },
      clusterDefinition: definition,
    });
    expect(bootReport(out)).toBe(bootReport(installer));
    expect(bootReport(out)).toContain("-V 'COS_LIVE'");
    expect((await readFile(installer)).equals(before)).toBe(true);
    const root = await unpack(out);
    expect(runProgram('sh', ['-c', `cat ".${content}/"*_part*`], { cwd: root }).equals(bytes)).toBe(true);
    expect(await readFile(join(root, 'opt/spectrocloud/clusterconfig/spc.tgz'), 'utf8')).toBe('a definition');
    expect(await readFile(join(root, 'boot/vmlinuz'), 'utf8')).toBe('kernel');
    const config = await readFile(join(root, '.edge_custom_config.yaml'), 'utf8');
    const { failures, bundles } = await inspectIso(out, {
      xorriso,
      trust: trustOf({ keys: readPublicKeys([{ name: 'x', text: config }]) }),
    });
    expect(failures).toEqual([]);
    expect(bundles).toMatchObject([{ path: `${content}/${basename(path)}`, hasChecksums: true, isVerified: true }]);
    expect(bundles[0]?.parts).toBe(Math.ceil(bytes.byteLength / partBytes));
  });

  it('boots through the same bytes: the images that El Torito names, and the start of the MBR', async () => {
    const out = join(folder, 'boots.iso');
    await embedIso({ xorriso, iso: installer, out, bundles: [path] });
    for (const file of ['/boot/uefi.img', '/boot/grub/grub.cfg']) {
      expect(
        (await readFile(await extractFrom(out, file))).equals(await readFile(await extractFrom(installer, file))),
      ).toBe(true);
    }
    const [mbr, original] = [await readFile(out), await readFile(installer)];
    expect(mbr.subarray(0, 432).equals(original.subarray(0, 432))).toBe(true);
    // GPT, or the MBR's second partition: the EFI system partition has the same bytes.
    const [start, sectors] = [mbr.readUInt32LE(446 + 16 + 8), mbr.readUInt32LE(446 + 16 + 12)];
    const uefi = await readFile(await extractFrom(installer, '/boot/uefi.img'));
    expect(
      mbr
        .subarray(start * 512, (start + sectors) * 512)
        .subarray(0, uefi.byteLength)
        .equals(uefi),
    ).toBe(true);
  });

  it('keeps them where the image grows beyond what an MBR can tell in cylinders', async () => {
    const loader = join(await temporaryFolder(), 'loader');
    await mkdir(join(loader, 'bin'), { recursive: true });
    await writeFile(join(loader, 'bin/edge-bundle'), '#!/bin/sh\n', { mode: 0o755 });
    await writeFile(join(loader, 'large'), '');
    await truncate(join(loader, 'large'), 1_100_000_000);
    const out = join(await temporaryFolder(), 'large.iso');
    await embedIso({ xorriso, iso: installer, out, bundles: [path], loader });
    expect(bootReport(out)).toBe(bootReport(installer));
    await rm(out);
  });

  it('writes over nothing unless told, and keeps other content', async () => {
    const there = await installerIso({
      [`${content}/core-other.tar.zst_part00`]: 'other',
      [`${content}/${basename(path)}_part07`]: 'stale',
      '/.edge_custom_config.yaml':
        'install: {debug: true}\ncontent: {signing: {publicKey: {base64EncodedValue: eA==}}}\n',
    });
    const out = join(folder, 'replaced.iso');
    const options = { xorriso, iso: there, out, bundles: [path], partBytes, publicKey };
    const error = await expectError('FILE_FAILED', 'has another public key', () => embedIso(options));
    expect(error.hint).toContain('--replace');
    const stale = await installerIso({ [`${content}/${basename(path)}_part07`]: 'stale' });
    await expectError('FILE_FAILED', `${basename(path)}_part07`, () => embedIso({ ...options, iso: stale }));
    await embedIso({ ...options, replace: true });
    const root = await unpack(out);
    const names = await readdir(join(root, content));
    expect(names).toContain('core-other.tar.zst_part00');
    expect(names).not.toContain(`${basename(path)}_part07`);
    const config = await readFile(join(root, '.edge_custom_config.yaml'), 'utf8');
    expect(config).toContain('debug: true');
    expect(config).not.toContain('eA==');
    expect(bootReport(out)).toBe(bootReport(there));
  });

  it('refuses what is no ISO, and one that is cut short', async () => {
    const out = join(folder, 'never.iso');
    const noIso = join(folder, 'no.iso');
    await writeFile(noIso, Buffer.alloc(100_000));
    await expectError('ISO_INVALID', 'no ISO 9660', () => embedIso({ xorriso, iso: noIso, out, bundles: [path] }));
    await expectError('FILE_FAILED', 'cannot read', () =>
      embedIso({ xorriso, iso: join(folder, 'gone'), out, bundles: [path] }),
    );
  });
});

describe('iso inspect', () => {
  it('reads bundles in place, and verifies all that is on the ISO', async () => {
    const { bundles, checksums, failures, image } = await inspectIso(await make('inspect.iso'), { xorriso });
    expect(failures).toEqual([]);
    expect(image.label).toBe('EDGE_CONTENT');
    expect(bundles).toMatchObject([{ images: 3, isVerified: true, hasChecksums: true, bytes: bytes.byteLength }]);
    expect(checksums?.verified).toBe(checksums?.listed);
    expect(checksums?.listed).toBeGreaterThan(7);
  });

  it('names a part with one flipped byte, and another file that was changed', async () => {
    const iso = await make('damaged.iso');
    await flip(iso, offsetOf(iso, `${content}/${basename(path)}_part02`) + 123_456);
    await flip(iso, offsetOf(iso, '/opt/edge-bundle/bin/edge-bundle') + 3);
    const { failures, bundles, checksums } = await inspectIso(iso, { xorriso });
    const texts = failures.map(({ message }) => message).join('\n');
    expect(texts).toContain(`_part02' is not the one that was made: it is damaged`);
    expect(texts).toContain(`'/opt/edge-bundle/bin/edge-bundle' on the ISO is not what its checksum says`);
    expect(texts).not.toContain('_part01');
    expect(bundles[0]?.isVerified).toBe(false);
    expect(checksums?.verified).toBe((checksums?.listed ?? 0) - 2);
  });

  it('verifies parts of GNU split by the digests of what is in them', async () => {
    const base = await gnuSplit(path, partBytes);
    const root = dirname(base);
    const iso = join(folder, 'plain.iso');
    const author = (): void => void runProgram('xorriso', ['-no_rc', '-outdev', iso, '-map', root, content, '-commit']);
    author();
    const { bundles, failures } = await inspectIso(iso, { xorriso });
    expect(failures).toEqual([]);
    expect(bundles).toMatchObject([{ hasChecksums: false, isVerified: true }]);
    await rm(iso);
    await rm(`${base}_part01`);
    author();
    const missing = await inspectIso(iso, { xorriso });
    expect(missing.failures.map(({ message }) => message)).toEqual([
      `part '${content}/${basename(path)}_part01' is missing on the ISO`,
    ]);
  });

  it('refuses a bundle that no trusted key signed, and an ISO that is cut short', async () => {
    const iso = await make('trust.iso');
    const { publicKey: other } = generateKeyPairSync('ed25519');
    const keys = readPublicKeys([{ name: 'x', text: other.export({ type: 'spki', format: 'pem' }).toString() }]);
    const { failures } = await inspectIso(iso, { xorriso, trust: trustOf({ keys }) });
    expect(failures.map(({ code }) => code)).toEqual(['SIGNATURE_INVALID']);
    await truncate(iso, (await stat(iso)).size - 2_000_000);
    const error = await inspectIso(iso, { xorriso }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: expect.stringMatching(/ISO_INVALID|ISO_FAILED/) as string });
  });
});

describe('xorriso', () => {
  it('is missed with what to install', async () => {
    const error = await expectError('XORRISO_MISSING', 'not installed', () => Xorriso.find('/nonexistent/xorriso'));
    expect(error.hint).toContain('apt-get install xorriso');
  });

  it('is refused where it is too old, or something else', async () => {
    const program = join(await temporaryFolder(), 'xorriso');
    await writeFile(program, '#!/bin/sh\necho "xorriso version   :  1.4.8"\n', { mode: 0o755 });
    await expectError('XORRISO_MISSING', 'is version 1.4.8; 1.5.0', () => Xorriso.find(program));
    await expectError('XORRISO_MISSING', 'tells no version', () => Xorriso.find('true'));
  });

  it("tells its own words where it fails, of names that are no shell's business", async () => {
    const odd = join(folder, "it's; $(touch x) -- `a`.iso");
    await createIso({ xorriso, bundles: [path], out: odd, partBytes });
    expect((await inspectIso(odd, { xorriso })).failures).toEqual([]);
    await expectError('ISO_FAILED', 'xorriso', () =>
      xorriso.run(['-indev', join(folder, 'nothing.iso'), '-extract', '/a', '/b']),
    );
  });
});

describe('what a startup file tells xorriso', () => {
  it('is told to others', async () => {
    const home = await temporaryFolder();
    await writeFile(join(home, '.xorrisorc'), '-map /etc/hostname /from-the-startup-file\n');
    vi.stubEnv('HOME', home);
    try {
      expect(() => runProgram('xorriso', ['-version'])).toThrow('.xorrisorc');
      await make('startup.iso');
      await embedIso({ xorriso, iso: installer, out: join(folder, 'startup-edge.iso'), bundles: [path], publicKey });
      expect((await inspectIso(join(folder, 'startup-edge.iso'), { xorriso })).failures).toEqual([]);
    } finally {
      vi.unstubAllEnvs();
    }
  });
});

describe('xorriso that writes something else than asked', () => {
  it.each([
    ['nothing', 'true', 'ended before'],
    ['too little', 'head -c 30000 /dev/zero', 'ended before'],
    ['no ISO', 'cat /dev/zero', 'something else than an ISO'],
    ['another image', 'xorriso -outdev - -map BUNDLE /x -commit', 'not where xorriso has said'],
    ['until it fails', 'head -c 30000 /dev/zero; echo "xorriso : FAILURE : no way" >&2; exit 32', 'no way'],
  ])('is told: %s', async (_, commands, said) => {
    const program = join(await temporaryFolder(), 'xorriso');
    const script = `#!/bin/sh\ncase "$*" in *" -outdev stdio:/dev/fd/3 "*) ;; *) exec xorriso "$@" ;; esac\nexec >&3\n${commands.replace('BUNDLE', path)}\n`;
    await writeFile(program, script, { mode: 0o755 });
    const other = await Xorriso.find(program);
    await expectError('ISO_FAILED', said, () => make('other.iso', { xorriso: other }));
    expect((await readdir(folder)).filter((name) => name.startsWith('other'))).toEqual([]);
  });
});

describe('the commands', () => {
  it('make, embed and inspect with one JSON document each', async () => {
    const [data, edge] = [join(folder, 'cli.iso'), join(folder, 'cli-edge.iso')];
    const created = await runInProcess([
      'iso',
      'create',
      dirname(path),
      '--out',
      data,
      '--part-size',
      '1MB',
      '--output',
      'json',
      '--quiet',
    ]);
    expect(created).toMatchObject({ exitCode: 0, stderr: '' });
    expect(JSON.parse(created.stdout)).toMatchObject({ iso: { path: data, label: 'EDGE_CONTENT' } });
    const embedded = await runInProcess([
      'iso',
      'embed',
      path,
      '--iso',
      installer,
      '--out',
      edge,
      '--output',
      'json',
      '--quiet',
    ]);
    expect(embedded).toMatchObject({ exitCode: 0, stderr: '' });
    const inspected = await runInProcess(['iso', 'inspect', edge, '--public-key', publicKey, '--quiet']);
    expect(inspected.exitCode).toBe(0);
    expect(inspected.stdout).toMatch(/boots +BIOS and UEFI/);
    await flip(edge, offsetOf(edge, `${content}/${basename(path)}_part00`) + 999_999);
    const damaged = await runInProcess(['iso', 'inspect', edge, '--output', 'json', '--quiet']);
    expect(damaged.exitCode).toBe(3);
    expect(JSON.parse(damaged.stdout)).toMatchObject({ bundles: [{ isVerified: false }] });
    expect(damaged.stderr).toContain('_part00');
  });
});
