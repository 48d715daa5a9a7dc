import { generateKeyPairSync } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { bootReport } from '../../../test/support/boot-report.ts';
import { Processes } from '../../support/processes.ts';
import { makeInstaller } from './installer.ts';
import { type Firmware, Machine } from './machine.ts';
import { generatedLayers, makeBundle, realLayers } from './make-bundle.ts';
import { hashFrom, proveCreate, proveLargeFile } from './prove-create.ts';
import { ensure, run, say } from './tell.ts';

const cache = join(process.cwd(), '.cache/iso-proof');
const processes = new Processes();
const bootTimeoutMs = 10 * 60_000;
const gigabyte = 1_000_000_000;
/** From where the guest reads a file of more than 4 GiB: 32 MiB before its first extent ends (guest/proof-setup). */
const beforeLimitBytes = 4064 * 1024 * 1024;

/** `iso embed` of 4.5 GB: the boot records stay, and it boots as the installer does. */
async function proveBoot(installer: string, layers: Awaited<ReturnType<typeof realLayers>>): Promise<void> {
  const iso = join(cache, 'large.iso');
  const generated = await generatedLayers('large', 8, 560_000_000);
  const bundle = await makeBundle(join(cache, 'large'), 'large', [layers, generated.slice(0, 4), generated.slice(4)]);
  const { size } = await stat(bundle);
  ensure(size >= 4.5 * gigabyte, `the bundle has ${size} bytes, at least 4.5 GB`);
  const data = await proveCreate(processes, cache, bundle);
  await proveLargeFile(processes, data, bundle);
  const rest = await hashFrom(bundle, beforeLimitBytes);
  await rm(iso, { force: true });
  const started = performance.now();
  await run('iso', 'embed', bundle, '--iso', installer, '--out', iso, '--quiet');
  say(`iso embed took ${Math.round((performance.now() - started) / 1000)} s`);
  await rm(join(cache, 'large'), { recursive: true });
  ensure(
    bootReport(iso) === bootReport(installer),
    "xorriso's report of the boot records is the same before and after",
  );
  console.log(bootReport(iso).replace(/^/gm, '    '));
  console.log((await run('iso', 'inspect', iso, '--quiet')).replace(/^/gm, '    '));
  const withData = await boot('BIOS', iso, data);
  ensure(withData.includes(`proof: beyond 4 GiB: ${size} ${rest}`), 'and Linux reads the same bytes beyond 4 GiB');
  await rm(data);
  await boot('UEFI', iso);
  await rm(iso);
}

/** @returns what the console has shown */
async function boot(firmware: Firmware, iso: string, data?: string): Promise<string> {
  const machine = new Machine({
    firmware,
    iso,
    data,
    log: join(cache, `boot-${firmware}.log`),
    timeoutMs: bootTimeoutMs,
  });
  const seconds = await machine.end();
  const { console: shown } = machine;
  ensure(shown.includes(`proof: firmware ${firmware}`), `it boots with ${firmware}, in ${Math.round(seconds)} s`);
  ensure(/proof: content: .*_part00 .*_part01/.test(shown), 'and the system that it starts sees the parts');
  return shown;
}

/** First boot, with the power cut in the middle of the load, and again without. */
async function proveFirstBoot(installer: string, layers: Awaited<ReturnType<typeof realLayers>>): Promise<void> {
  const iso = join(cache, 'first-boot.iso');
  const generated = await generatedLayers('first boot', 12, 1_000_000);
  const bundle = await makeBundle(join(cache, 'small'), 'first-boot', [
    layers.slice(0, 1),
    generated.slice(0, 8),
    generated.slice(4),
  ]);
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const [secret, open] = [join(cache, 'content.key'), join(cache, 'content.pub')];
  await writeFile(secret, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  await writeFile(open, publicKey.export({ type: 'spki', format: 'pem' }));
  await run('sign', bundle, '--private-key', secret, '--quiet');
  await rm(secret);
  await run('loader', 'package', '--out', cache, '--quiet');
  const [loader = ''] = (await readdir(cache)).filter((name) => /^edge-bundle-loader-.*-linux-amd64$/.test(name));
  const config = new URL('guest/first-boot.yaml', import.meta.url).pathname;
  await rm(iso, { force: true });
  await run(
    ...['iso', 'embed', bundle, '--iso', installer, '--out', iso, '--part-size', '10MB', '--quiet'],
    ...['--content-key', open, '--loader', join(cache, loader), '--first-boot-config', config],
  );
  console.log((await run('iso', 'inspect', iso, '--public-key', open, '--quiet')).replace(/^/gm, '    '));
  await firstBoot('BIOS', iso, undefined);
  await firstBoot('UEFI', iso, 4);
  await rm(iso);
  await rm(join(cache, 'small'), { recursive: true });
}

/** @param cutAfter the power is cut when so many blobs are in the registry; undefined: it is not */
async function firstBoot(firmware: Firmware, iso: string, cutAfter: number | undefined): Promise<void> {
  const disk = join(cache, 'disk.img');
  await rm(disk, { force: true });
  await (await open(disk, 'w')).close();
  await truncate(disk, 2 * gigabyte);
  const machine = (name: string): Machine =>
    new Machine({
      firmware,
      iso,
      disk,
      log: join(cache, `first-boot-${firmware}-${name}.log`),
      timeoutMs: bootTimeoutMs,
    });
  if (cutAfter !== undefined) {
    const first = machine('cut');
    await first.waitFor(new RegExp(`harbor: stored blob ${cutAfter}\\b`));
    first.cutPower();
    const seconds = await first.end();
    ensure(
      !first.console.includes('proof: VERIFIED'),
      `the power is cut after ${Math.round(seconds)} s, in the middle of the load`,
    );
  }
  const last = machine('whole');
  const seconds = await last.end();
  const lines = last.console.split('\n').filter((line) => /proof:|harbor:|edge-bundle|images|blobs|missing/.test(line));
  console.log(lines.map((line) => `    ${line}`).join('\n'));
  ensure(/proof: network devices: lo *\n/.test(last.console), 'it has no network device');
  ensure(
    last.console.includes('proof: VERIFIED'),
    `with ${firmware}, everything is in the registry and verified, in ${Math.round(seconds)} s`,
  );
  ensure(
    last.console.includes('proof: the disk is new') === (cutAfter === undefined),
    'the disk is the one that it should be',
  );
  await rm(disk);
}

if (!existsSync('dist/cli/main.js')) throw new Error("run 'npm run build' first");
await mkdir(cache, { recursive: true });
const only = process.argv[2];
say('the installer: Debian with its kernel, an initrd, GRUB for BIOS and UEFI');
const installer = await makeInstaller(processes, cache);
const layers = await realLayers(
  processes,
  join(cache, 'root.tar'),
  ['./usr/bin/*', './usr/lib/x86_64-linux-gnu/lib*'],
  join(cache, 'layers'),
);
if (only !== 'boot') {
  say('first boot');
  await proveFirstBoot(installer, layers);
}
if (only !== 'first-boot') {
  say('iso embed of 4.5 GB');
  await proveBoot(installer, layers);
}
say('done');
