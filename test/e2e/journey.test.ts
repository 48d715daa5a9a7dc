import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Descriptor } from '../../src/content/descriptor.ts';
import { FixedCredentials } from '../../src/oci-client/credentials.ts';
import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { type Certificate, CertificateAuthority } from '../support/certificates.ts';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { edgeBundle, startEdgeBundle } from '../support/edge-bundle.ts';
import { makeArtifact, makeImage, makeIndex } from '../support/images.ts';
import { makeLayer, tarOf } from '../support/layers.ts';
import { startTokenServer, type TokenServer } from '../support/token-server.ts';

const login = { username: 'builder', password: 'a-password-that-nobody-may-see' };

let authority: CertificateAuthority;
let certificate: Certificate;
let tokens: TokenServer;
let source: DockerRegistry;
let target: DockerRegistry;
let folder: string;
let certificates: string;
let bundle: string;
/** Name in the source without the registry, and digest. */
const images = new Map<string, Descriptor>();
let sharedBytes: number;
const outputs: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edge-bundle-journey-'));
  authority = await CertificateAuthority.create();
  certificate = await authority.issue(['127.0.0.1']);
  tokens = await startTokenServer({ users: { [login.username]: login.password }, tls: certificate });
  source = await startDockerRegistry({ tls: certificate, tokenAuth: tokens });
  target = await startDockerRegistry({ tls: certificate, tokenAuth: tokens });
  certificates = join(folder, 'certificates');
  await mkdir(certificates);
  await copyFile(authority.certificatePath, join(certificates, 'ca.crt'));
  await writeFile(join(folder, 'password'), `${login.password}\n`);
  await pushImages();
  await writeFile(join(folder, 'profile.json'), profile());
  await mkdir(join(folder, 'packs/store'), { recursive: true });
  const pack = { name: 'store', version: '1.0.0', layer: 'addon' };
  await writeFile(join(folder, 'packs/store/pack.json'), JSON.stringify(pack));
});

afterAll(async () => {
  await Promise.all([source.stop(), target.stop(), tokens.stop()]);
  await authority.remove();
  await rm(folder, { recursive: true, force: true });
});

/** Three images on one base, an index, a plain and a zstd layer, an artifact about an image. */
async function pushImages(): Promise<void> {
  const client = new RegistryClient({
    ca: authority.certificate,
    credentials: new FixedCredentials(source.host, login),
  });
  const random = (bytes: number): Buffer => tarOf([{ path: 'data', content: randomBytes(bytes) }]);
  const base = random(2_000_000);
  for (const name of ['web', 'api', 'db']) {
    const store = client.repository(source.host, `store/${name}`);
    const shared = await makeLayer(store, base);
    sharedBytes = shared.descriptor.size;
    const own = await makeLayer(store, random(500_000), { compression: name === 'db' ? 'zstd' : 'gzip' });
    const image = await makeImage(store, { layers: [shared, own] });
    await store.tag(image, '1.0');
    images.set(`store/${name}:1.0`, image);
    if (name !== 'web') continue;
    const sbom = await makeArtifact(store, {
      artifactType: 'application/spdx+json',
      files: [{ name: 'sbom', mediaType: 'application/spdx+json', content: '{}' }],
      subject: image,
    });
    images.set(`store/web@${sbom.digest}`, sbom);
  }
  const store = client.repository(source.host, 'store/agent');
  const plain = await makeLayer(store, tarOf([{ path: 'text', content: 'edge '.repeat(200_000) }]), {
    compression: 'none',
  });
  const amd64 = await makeImage(store, { layers: [plain] });
  const arm64 = await makeImage(store, {
    layers: [await makeLayer(store, random(400_000))],
    platform: { os: 'linux', architecture: 'arm64' },
  });
  const index = await makeIndex(store, [amd64, arm64]);
  await store.tag(index, '2.1');
  images.set('store/agent:2.1', index);
  await client.close();
}

/** As Palette exports it: content tags, and one raw manifest. */
function profile(): string {
  const [first, ...others] = [...images.keys()].map((name) => `${source.host}/${name}`);
  const values = `pack:\n  content:\n    images:\n${others.map((image) => `      - image: ${image}\n`).join('')}`;
  const manifest = `apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers: [{name: web, image: "${first ?? ''}"}]\n`;
  const pack = { version: '1.0.0', tag: '1.0.0', layer: 'addon' };
  return JSON.stringify({
    metadata: { name: 'Store', description: '', labels: {} },
    spec: {
      version: '1.0.0',
      template: {
        type: 'add-on',
        cloudType: 'all',
        packs: [
          { ...pack, name: 'store', type: 'oci', values },
          {
            ...pack,
            name: 'web',
            type: 'manifest',
            values: '',
            manifests: [{ name: 'web', content: manifest }],
          },
        ],
      },
    },
  });
}

const registryFlags = (): string[] => [
  ...['--ca-cert', authority.certificatePath, '--username', login.username],
  ...['--password-file', join(folder, 'password')],
];

async function json(args: readonly string[]): Promise<Record<string, unknown>> {
  const { stdout, stderr, exitCode } = await edgeBundle([...args, '--output', 'json']);
  outputs.push(stdout, stderr);
  expect(stderr).not.toContain('error:');
  expect(exitCode).toBe(0);
  return JSON.parse(stdout) as Record<string, unknown>;
}

/** Not execFileSync: the token server runs in this process, and has to go on answering. */
const run = promisify(execFile);

async function rawDigest(...args: string[]): Promise<string> {
  const { stdout } = await run('skopeo', ['inspect', '--raw', ...args], { encoding: 'buffer' });
  return `sha256:${createHash('sha256').update(stdout).digest('hex')}`;
}

describe('a profile on its way from a registry with TLS and tokens into another', () => {
  it('is built into a bundle that stores the shared base once', async () => {
    const result = await json([
      ...['build', join(folder, 'profile.json'), '--out', join(folder, 'bundles')],
      // Packs travel too, which test/cli/build-profiles.test.ts shows: here it is images that are counted.
      ...['--pack-dir', join(folder, 'packs'), '--charts=false'],
      ...registryFlags(),
    ]);
    expect(result).toMatchObject({ images: images.size });
    const { bytes } = result as { bytes: { referenced: number; stored: number; saved: number } };
    expect(bytes.saved).toBe(bytes.referenced - bytes.stored);
    expect(bytes.saved).toBeGreaterThanOrEqual(2 * sharedBytes);
    bundle = (result as { bundle: { path: string } }).bundle.path;
    expect(bundle).toMatch(/content-[0-9a-f]{16}\/core-store-[0-9a-f]{16}\.tar\.zst$/);
  });

  it('is shown by inspect, with the packs that asked for each image', async () => {
    const result = await json(['inspect', bundle]);
    const shown = result.images as { reference: string; digest: string; packs: string[] }[];
    expect(new Map(shown.map(({ reference, digest }) => [reference, digest]))).toEqual(
      new Map([...images].map(([name, { digest }]) => [`${source.host}/${name}`, digest])),
    );
    expect(shown.map(({ packs }) => packs.join()).sort()).toEqual(['store', 'store', 'store', 'store', 'web']);
  });

  it('is whole', async () => {
    expect(await json(['verify', bundle])).toMatchObject({ images: images.size, missing: [] });
  });

  it('is loaded with each blob uploaded once and mounted where it is shared, and nothing the second time', async () => {
    const args = ['load', bundle, '--registry', target.url, ...registryFlags()];
    const first = (await json(args)) as { blobs: { uploaded: number; mounted: number; present: number } };
    expect(first).toMatchObject({ images: images.size, missing: [] });
    expect(first.blobs.mounted).toBe(2);
    const second = (await json(args)) as typeof first;
    expect(second.blobs).toMatchObject({ uploaded: 0, mounted: 0 });
    expect(await json(['verify', ...args.slice(1)])).toMatchObject({ missing: [] });
  });

  it('is pulled by skopeo from the target, every image with the digest of its source', async () => {
    const flags = ['--cert-dir', certificates, '--creds', `${login.username}:${login.password}`];
    const registryPath = source.host.replace(':', '-');
    for (const [name, { digest }] of images) {
      const image = `docker://${target.host}/spectro-images/${registryPath}/${name}`;
      expect(await rawDigest(...flags, image)).toBe(digest);
      const copy = join(folder, `pulled-${digest.slice(7, 19)}`);
      await run('skopeo', [
        ...['copy', '-q', '--all', '--src-cert-dir', certificates],
        ...['--src-creds', `${login.username}:${login.password}`, image, `dir:${copy}`],
      ]);
    }
  });

  it('is served from the bundle, read in place, for skopeo to pull', async () => {
    const server = startEdgeBundle(['serve', bundle, '--listen', '127.0.0.1:0', '--quiet']);
    if (server.stdout === null) throw new Error('no output');
    const [line] = (await once(server.stdout.setEncoding('utf8'), 'data')) as [string];
    const host = new URL(line.trim()).host;
    const registryPath = source.host.replace(':', '-');
    for (const [name, { digest }] of images) {
      const image = `docker://${host}/${registryPath}/${name}`;
      expect(await rawDigest('--tls-verify=false', image)).toBe(digest);
      await run('skopeo', [
        ...[
          'copy',
          '-q',
          '--all',
          '--src-tls-verify=false',
          image,
          `dir:${join(folder, `served-${digest.slice(7, 19)}`)}`,
        ],
      ]);
    }
    server.kill('SIGTERM');
    await once(server, 'close');
  });

  it('is built from one serve and loaded into another, writable one', async () => {
    const store = join(folder, 'writable');
    const server = startEdgeBundle(['serve', store, '--writable', '--listen', '127.0.0.1:0', '--quiet']);
    if (server.stdout === null) throw new Error('no output');
    const [line] = (await once(server.stdout.setEncoding('utf8'), 'data')) as [string];
    const loaded = await json(['load', bundle, '--registry', line.trim()]);
    expect(loaded).toMatchObject({ images: images.size, missing: [] });
    server.kill('SIGTERM');
    await once(server, 'close');
  });

  it('left the password in no output and not in the bundle', async () => {
    expect(outputs.join('\n')).not.toContain(login.password);
    expect((await readFile(bundle)).includes(login.password)).toBe(false);
  });
});
