import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFile, mkdtemp, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import type { Descriptor } from '../../src/content/descriptor.ts';
import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { type Certificate, CertificateAuthority } from '../support/certificates.ts';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { edgeBundle, type EdgeBundleRun } from '../support/edge-bundle.ts';
import { makeImage } from '../support/images.ts';
import { makeLayer, tarOf } from '../support/layers.ts';
import { type RegistryProxy, startRegistryProxy } from '../support/registry-proxy.ts';
import { whyNoMount, withSmallDisk } from '../support/small-disk.ts';

const layerBytes = 2_000_000;

let folder: string;
let out: string;
let authority: CertificateAuthority;
let certificate: Certificate;
let registry: DockerRegistry;
let guarded: DockerRegistry;
let proxy: RegistryProxy;
let silent: Server;
let layer: Descriptor;
let images: string;
let bundle: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edge-bundle-bad-'));
  authority = await CertificateAuthority.create();
  certificate = await authority.issue(['127.0.0.1']);
  registry = await startDockerRegistry();
  guarded = await startDockerRegistry({
    tls: certificate,
    basicAuth: { username: 'someone', password: 'right-password' },
  });
  proxy = await startRegistryProxy(registry.host);
  silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const client = new RegistryClient({ plainHttp: 'all' });
  const store = client.repository(registry.host, 'app');
  const random = await makeLayer(store, tarOf([{ path: 'data', content: randomBytes(layerBytes) }]));
  layer = random.descriptor;
  await store.tag(await makeImage(store, { layers: [random] }), '1');
  await client.close();
  images = await file('images.txt', `${proxy.host}/app:1\n`);
  const built = await build([images, '--output', 'json'], join(folder, 'good'));
  expect(built.stderr).not.toContain('error');
  bundle = (JSON.parse(built.stdout) as { bundle: { path: string } }).bundle.path;
});

afterAll(async () => {
  silent.close();
  await Promise.all([proxy.stop(), registry.stop(), guarded.stop(), authority.remove()]);
  await rm(folder, { recursive: true, force: true });
});

beforeEach(async () => {
  proxy.fault = undefined;
  out = await mkdtemp(join(folder, 'out-'));
});

async function file(name: string, content: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

function build(args: readonly string[], into = out): Promise<EdgeBundleRun> {
  return edgeBundle(['build', '--name', 'bad', '--plain-http', '--out', into, '--retries', '0', ...args]);
}

/** One error, the exit code, nothing on stdout, and no bundle under its final name. */
async function expectFailure(run: EdgeBundleRun, exitCode: number, ...patterns: RegExp[]): Promise<void> {
  expect(run.stderr.match(/^error: /gm)).toHaveLength(1);
  for (const pattern of patterns) expect(run.stderr).toMatch(pattern);
  expect(run.stderr).not.toMatch(/unexpected|^\s+at /m);
  expect(run).toMatchObject({ exitCode, stdout: '' });
  const left = await readdir(out, { recursive: true });
  expect(left.filter((name) => name.endsWith('.zst'))).toEqual([]);
}

describe('build', () => {
  it('lists all missing images', async () => {
    const wanted = await file('missing.txt', `${proxy.host}/app:1\n${proxy.host}/none:1\n${proxy.host}/app:9\n`);
    await expectFailure(await build([wanted]), 3, /2 of 3 images/, /\/none:1/, /\/app:9/);
  });

  it('refuses a layer that is not what its digest says', async () => {
    proxy.fault = ({ path }) => (path.includes(layer.digest) ? { kind: 'corrupt', atByte: 5_000 } : undefined);
    await expectFailure(await build([images]), 4, new RegExp(layer.digest), /digest sha256:/);
  });

  it('says how much of a body that was cut short came', async () => {
    proxy.fault = ({ path }) => (path.includes(layer.digest) ? { kind: 'truncate', afterBytes: 9_999 } : undefined);
    await expectFailure(await build([images]), 75, /9999/, new RegExp(String(layer.size)));
  });

  it('gives up on a registry that hangs', async () => {
    const { port } = silent.address() as AddressInfo;
    const wanted = await file('silent.txt', `127.0.0.1:${port}/app:1\n`);
    await expectFailure(
      await build([wanted, '--timeout', '2']),
      75,
      new RegExp(`127\\.0\\.0\\.1:${port}`),
      /no answer came/,
    );
  });

  it('says that nothing listens', async () => {
    await expectFailure(await build([await file('gone.txt', '127.0.0.1:1/app:1\n')]), 75, /127\.0\.0\.1:1\b/);
  });

  it('says that a certificate is not trusted, and what helps', async () => {
    const wanted = await file('guarded.txt', `${guarded.host}/app:1\n`);
    const run = await edgeBundle(['build', wanted, '--out', out]);
    await expectFailure(run, 1, /certificate/i, /--ca-cert/, /--insecure/);
  });

  it('says that the login is wrong, without the password', async () => {
    const wanted = await file('guarded.txt', `${guarded.host}/app:1\n`);
    const password = await file('password', 'wrong-password');
    const run = await edgeBundle([
      ...['build', wanted, '--out', out, '--ca-cert', authority.certificatePath],
      ...['--username', 'someone', '--password-file', password],
    ]);
    await expectFailure(run, 1, new RegExp(guarded.host));
    expect(run.stderr).not.toContain('wrong-password');
  });

  it('names the place and the reason where a profile is malformed', async () => {
    const profile = { metadata: { name: 'x' }, spec: { template: { type: 'add-on', packs: [{ name: 7 }] } } };
    const wanted = await file('malformed.json', JSON.stringify(profile));
    await expectFailure(await build([wanted]), 1, /malformed\.json/, /packs.*0.*name/);
    await expectFailure(await build([await file('broken.json', '{"metadata": ')]), 1, /broken\.json/);
    await expectFailure(await build([join(folder, 'nowhere.json')]), 1, /nowhere\.json/);
  });

  it.skipIf(whyNoMount !== undefined)('checks the space before the first byte', async () => {
    await withSmallDisk(1_000_000, async (disk) => {
      const before = proxy.blobBytes;
      const run = await build([images], disk);
      await expectFailure(run, 1, /needs \d+ more bytes/, /are free/);
      expect(proxy.blobBytes - before).toBeLessThan(10_000);
      expect(await readdir(disk)).toEqual([]);
    });
  });

  it.skipIf(whyNoMount !== undefined)('goes on where a disk filled up, once there is space', async () => {
    await withSmallDisk(4_000_000, async (disk) => {
      let [filled, seen] = [false, 0];
      proxy.onBlobBytes = () => {
        if (!filled) execFileSync('dd', ['if=/dev/zero', `of=${join(disk, 'filler')}`, 'bs=100k'], { stdio: 'pipe' });
        filled = true;
      };
      const run = await build([images], disk).catch(() => undefined);
      proxy.onBlobBytes = undefined;
      expect(run).toBeDefined();
      if (run !== undefined) await expectFailure(run, 1, /no space left/);
      await rm(join(disk, 'filler'));
      seen = proxy.blobBytes;
      const again = await build([images], disk);
      expect(again.exitCode).toBe(0);
      expect(proxy.blobBytes - seen).toBeLessThanOrEqual(layer.size + 10_000);
    });
  });

  it.each([
    [['build'], /no profile is given/],
    [['build', 'x', '--nonsense'], /nonsense/],
    [['build', 'x', '--concurrency', '0'], /concurrency/],
    [['load', 'x'], /--harbor|--registry/],
    [['frobnicate'], /frobnicate/],
  ])('usage: %j', async (args, pattern) => {
    await expectFailure(await edgeBundle(args), 2, pattern);
  });
});

describe('a bundle that is not whole', () => {
  async function copyOfBundle(name: string): Promise<string> {
    const copy = join(out, name);
    await copyFile(bundle, copy);
    return copy;
  }

  it('is refused where its end is missing', async () => {
    const copy = await copyOfBundle('cut');
    await (
      await open(copy, 'r+').then(async (handle) => {
        await handle.truncate((await handle.stat()).size - 1);
        return handle;
      })
    ).close();
    for (const args of [
      ['inspect', copy],
      ['verify', copy],
      ['load', copy, '--registry', registry.url],
    ]) {
      await expectFailure(await edgeBundle(args), 3, /cut short/);
    }
  });

  it('is refused where one bit of a layer is flipped, and nothing of that layer is loaded', async () => {
    const copy = await copyOfBundle('flipped');
    const handle = await open(copy, 'r+');
    const { size } = await handle.stat();
    const byte = Buffer.alloc(1);
    await handle.read(byte, 0, 1, size - 1_000_000);
    byte[0] = (byte[0] ?? 0) ^ 0x10;
    await handle.write(byte, 0, 1, size - 1_000_000);
    await handle.close();
    await expectFailure(await edgeBundle(['verify', copy]), 4, new RegExp(layer.digest));
    const target = await startDockerRegistry();
    const run = await edgeBundle(['load', copy, '--registry', target.url]);
    expect(run.exitCode).not.toBe(0);
    expect(run.stderr).toMatch(new RegExp(layer.digest));
    const kept = await readdir(target.storage, { recursive: true }).catch(() => []);
    expect(kept.filter((name) => name.includes(layer.digest.slice(7)))).toEqual([]);
    await target.stop();
  });

  it.each([
    ['middle', 1, /part01/],
    ['last', 3, /missing|cut short/],
  ])('is refused where its %s part is missing', async (_which, index, pattern) => {
    const { size } = await stat(bundle);
    const base = join(out, 'core-bad.tar');
    execFileSync('split', [`--bytes=${Math.ceil(size / 4)}`, '--numeric-suffixes', bundle, `${base}_part`]);
    const whole = await edgeBundle(['verify', `${base}_part00`]);
    expect(whole).toMatchObject({ exitCode: 0 });
    await rename(`${base}_part0${index}`, join(folder, 'moved-away'));
    await expectFailure(await edgeBundle(['verify', base]), 3, pattern);
  });
});
