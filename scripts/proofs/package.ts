/**
 * The loader package where it has to work: in a root that mmdebstrap makes, without Node.js, on a machine with no network but
 * loopback. It loads a bundle of 600 MB, in parts on read-only media, into a Harbor over TLS, twice; skopeo pulls everything
 * back. Its first boot does the same for another project, from a configuration alone, once. Then the arm64 package inspects the same bundle under QEMU.
 *
 * Needs root. `npm run proof:package`
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { type FirstBootStatus, firstBootStatusSchema } from '../../src/report/first-boot-status.ts';
import { pullDigest } from '../../test/loader/skopeo.ts';
import { planBundle, writeBundle } from '../../test/support/bundles.ts';
import { blob, type Content, image, index, noise } from '../../test/support/graphs.ts';
import { harborAdmin, HarborFront } from '../../test/support/harbor-front.ts';
import { Processes } from '../support/processes.ts';
import { measureChild, type MeasuredChild } from './measure-child.ts';

const minBundleBytes = 600_000_000;
const partBytes = 128_000_000;
const maxMemoryBytes = 200_000_000;
const inside = '--inside';
const gzipLayer = 'application/vnd.oci.image.layer.v1.tar+gzip';
const repository = fileURLToPath(new URL('../../', import.meta.url));
const cli = join(repository, 'dist/cli/main.js');
const processes = new Processes();

/** Reference to what it stands for; a base that all share, an index, an image by its digest alone. */
function makeImages(): Readonly<Record<string, Content>> {
  const layer = (seed: string, sizeBytes = 36_000_000): Content => blob(noise(sizeBytes, seed), gzipLayer);
  const base = layer('base', 60_000_000);
  const apps = Array.from({ length: 12 }, (_, number) => image([base, layer(`app ${number}`)]));
  const pinned = image([base, layer('pinned')]);
  const multi = index([image([base, layer('amd64')]), image([layer('arm64')])]);
  return {
    ...Object.fromEntries(apps.map((app, number) => [`registry.example.com/edge/app-${number}:1.0`, app])),
    'docker.io/library/multi:2': multi,
    [`gcr.io/edge/pinned@${pinned.descriptor.digest}`]: pinned,
  };
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function ensure(isTrue: boolean, what: string): void {
  if (!isTrue) throw new Error(`not as it should be: ${what}`);
  say(`ok  ${what}`);
}

/** Everything that needs the network. */
async function prepare(folder: string): Promise<void> {
  await processes.run('npm', ['run', '--silent', 'build'], { cwd: repository });
  for (const architecture of ['amd64', 'arm64']) {
    const { stdout } = await processes.run('node', [
      ...[cli, 'loader', 'package', '--arch', architecture, '--out', join(folder, 'packages')],
      ...['--cache-dir', join(repository, '.cache'), '--output', 'json'],
    ]);
    const { path, bytes, sha256 } = JSON.parse(stdout) as { path: string; bytes: number; sha256: string };
    ensure(bytes < 130_000_000, `${basename(path)}: ${bytes} bytes, SHA256SUMS ${sha256.slice(0, 16)}…`);
  }
  const mirror = 'http://deb.debian.org/debian';
  await processes.run('mmdebstrap', ['--variant=essential', 'bookworm', join(folder, 'root'), mirror]);
  // Foreign packages are only unpacked: their scripts would not run here.
  await processes.run('mmdebstrap', [
    ...['--variant=extract', '--arch=arm64', '--include=libc6', 'bookworm', join(folder, 'arm64-root'), mirror],
  ]);
  const bundle = await writeBundle(join(folder, 'bundle'), await planBundle(makeImages(), { name: 'proof' }));
  const content = join(folder, 'content');
  await mkdir(content);
  await processes.run('node', [cli, 'iso', 'parts', bundle, '--size', String(partBytes), '--out', content]);
  const parts = (await readdir(content)).filter((name) => /_part\d+$/.test(name));
  const sizes = await Promise.all(parts.map(async (name) => (await stat(join(content, name))).size));
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  ensure(parts.length > 1 && bytes >= minBundleBytes, `a bundle of ${bytes} bytes in ${parts.length} parts`);
}

/** On a machine with loopback alone: this process has its own network and mounts. */
async function prove(folder: string): Promise<void> {
  await processes.run('ip', ['link', 'set', 'lo', 'up']);
  const routes = await processes.run('ip', ['route', 'show', 'table', 'main']);
  ensure(routes.stdout === '', 'no route leads anywhere but to loopback');
  const root = join(folder, 'root');
  const found = spawnSync('chroot', [root, '/bin/sh', '-c', 'command -v node npm; ls /usr/lib/*/libstdc++.so.6'], {
    encoding: 'utf8',
  });
  ensure(found.stdout === '', 'the root has no Node.js, no npm and no libstdc++');
  const kind = await mountMedia(folder, root);
  say(`    media: ${kind}, read-only`);

  const harbor = await HarborFront.start();
  try {
    await copyFile(harbor.caPath, join(root, 'run/ca.pem'));
    await writeFile(join(root, 'run/password'), harborAdmin.password);
    await loadTwice(root, harbor);
    // Before skopeo, which logs in for each image, as Harbor's front notices.
    await firstBootTwice(root, harbor);
    const login = { name: harborAdmin.name, password: harborAdmin.password };
    const access = { registry: harbor.host, caPath: harbor.caPath, login };
    const images = Object.entries(makeImages());
    for (const project of ['spectro-images', 'first-boot']) {
      for (const [reference, { descriptor }] of images) {
        const digest = await pullDigest(access, `${project}/${reference}`);
        if (digest !== descriptor.digest) throw new Error(`${project}/${reference} came back as ${digest}`);
      }
      ensure(true, `skopeo pulls ${images.length} images back from ${project}, each with its digest`);
    }
  } finally {
    await harbor.close();
  }
  await inspectOnArm64(folder);
}

/** The package and the parts, as a squashfs each where the kernel has it, else as they are. */
async function mountMedia(folder: string, root: string): Promise<string> {
  let kind = 'squashfs';
  for (const [source, target] of [
    [join(folder, 'packages'), 'mnt'],
    [join(folder, 'content'), 'media'],
  ] as const) {
    const image = join(folder, `${target}.squashfs`);
    await processes.run('mksquashfs', [source, image, '-noI', '-noD', '-noF', '-quiet', '-no-progress']);
    const place = join(root, target);
    if (spawnSync('mount', ['-t', 'squashfs', '-o', 'loop,ro', image, place]).status === 0) continue;
    kind = 'bind mount';
    await processes.run('mount', ['--bind', source, place]);
    await processes.run('mount', ['-o', 'remount,bind,ro', place]);
  }
  return kind;
}

async function loadTwice(root: string, harbor: HarborFront): Promise<void> {
  const launcher = `/mnt/edge-bundle-loader-${await version()}-linux-amd64/bin/edge-bundle`;
  const target = ['--harbor', harbor.url, '--ca-cert', '/run/ca.pem', '--username', harborAdmin.name];
  const args = [...target, '--password-file', '/run/password', '--output', 'json'];
  const command = (name: string): string[] => ['chroot', root, '/usr/bin/env', '-i', launcher, name, '/media', ...args];

  const first = await measureChild(command('load'));
  const loaded = JSON.parse(first.stdout) as { images: number; blobs: { uploaded: number } };
  const [mb, seconds] = [Math.round(first.peakMemoryBytes / 1e6), (first.durationMs / 1000).toFixed(1)];
  ensure(loaded.images === 14 && loaded.blobs.uploaded > 0, `load: ${JSON.stringify(loaded.blobs)}, ${seconds} s`);
  ensure(first.peakMemoryBytes < maxMemoryBytes, `load: at most ${mb} MB of memory`);

  const again = JSON.parse((await measureChild(command('load'))).stdout) as { blobs: { uploaded: number } };
  ensure(again.blobs.uploaded === 0, 'a second load sends nothing');
  const verified = JSON.parse((await measureChild(command('verify'))).stdout) as { missing: readonly unknown[] };
  ensure(verified.missing.length === 0, 'verify finds everything');
  const { violations } = harbor.state;
  ensure(violations.length === 0, `Harbor has nothing against it: ${JSON.stringify(violations)}`);
}

/** Finds the bundle on its medium by itself, and needs no more than its configuration. */
async function firstBootTwice(root: string, harbor: HarborFront): Promise<void> {
  const config = {
    sources: [{ directory: '/media' }],
    harbor: harbor.url,
    caCert: '/run/ca.pem',
    username: harborAdmin.name,
    passwordFile: '/run/password',
    project: 'first-boot',
    stateDir: '/run/edge-bundle',
  };
  await writeFile(join(root, 'run/first-boot.yaml'), JSON.stringify(config));
  // A host that boots has it; load works without.
  await processes.run('mount', ['-t', 'proc', 'proc', join(root, 'proc')]);
  const launcher = `/mnt/edge-bundle-loader-${await version()}-linux-amd64/bin/edge-bundle`;
  const command = ['chroot', root, '/usr/bin/env', '-i', launcher, 'first-boot', '--config', '/run/first-boot.yaml'];
  const run = async (): Promise<MeasuredChild & { readonly status: FirstBootStatus }> => {
    const measured = await measureChild([...command, '--output', 'json']);
    return { ...measured, status: firstBootStatusSchema.parse(JSON.parse(measured.stdout)) };
  };
  const { status, durationMs, peakMemoryBytes } = await run();
  const [mb, seconds] = [Math.round(peakMemoryBytes / 1e6), (durationMs / 1000).toFixed(1)];
  ensure(status.state === 'done' && status.bundles[0]?.state === 'loaded', `first-boot: ${status.line}, ${seconds} s`);
  ensure(peakMemoryBytes < maxMemoryBytes, `first-boot: at most ${mb} MB of memory`);
  const from = harbor.requests.length;
  const again = await run();
  ensure(again.status.bundles[0]?.state === 'already-loaded', `the next boot: ${again.status.line}`);
  ensure(harbor.requests.length === from, 'and asks Harbor for nothing');
  const { violations } = harbor.state;
  ensure(violations.length === 0, `Harbor has nothing against it: ${JSON.stringify(violations)}`);
}

/** The processor is QEMU's, the C library Debian's for arm64; libstdc++ and libgcc are those of the package. */
async function inspectOnArm64(folder: string): Promise<void> {
  const loader = join(folder, 'packages', `edge-bundle-loader-${await version()}-linux-arm64`);
  const { stdout } = await processes.run('qemu-aarch64-static', [
    ...['-L', join(folder, 'arm64-root'), '-E', `LD_LIBRARY_PATH=${join(loader, 'lib/shared')}`],
    ...[join(loader, 'lib/node/bin/node'), join(loader, 'lib/app/dist/cli/main.js')],
    ...['inspect', join(folder, 'content'), '--output', 'json'],
  ]);
  const { images } = JSON.parse(stdout) as { images: readonly { reference: string; digest: string }[] };
  const expected = Object.entries(makeImages()).map(
    ([reference, { descriptor }]) => `${reference} ${descriptor.digest}`,
  );
  const actual = images.map(({ reference, digest }) => `${reference} ${digest}`);
  ensure(actual.sort().join() === expected.sort().join(), `on arm64, inspect lists the same ${images.length} images`);
}

async function version(): Promise<string> {
  const text = await readFile(join(repository, 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** Runs this script again, in namespaces of its own, so that no mount or route of the machine changes. */
async function runInside(folder: string): Promise<number> {
  const script = fileURLToPath(import.meta.url);
  const command = ['--net', '--mount', '--', process.execPath, '--import', 'tsx', script, inside, folder];
  const child = spawn('unshare', command, { stdio: 'inherit', cwd: repository });
  const [code] = (await once(child, 'close')) as [number | null];
  return code ?? 1;
}

const [mode, given] = process.argv.slice(2);
if (mode === inside && given !== undefined) {
  await prove(given);
} else if (process.getuid?.() !== 0) {
  say('proof:package needs root: it makes a root folder and mounts things in it');
  process.exitCode = 2;
} else {
  const folder = await mkdtemp(join(process.env.PROOF_DIR ?? tmpdir(), 'edge-bundle-proof-'));
  try {
    await prepare(folder);
    process.exitCode = await runInside(folder);
    say(process.exitCode === 0 ? 'proven' : 'failed');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
