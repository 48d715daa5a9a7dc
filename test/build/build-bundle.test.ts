import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { buildBundle, type BuildOptions } from '../../src/build/build-bundle.ts';
import type { WantedImage } from '../../src/build/wanted-content.ts';
import { BundleReader } from '../../src/bundle/bundle-reader.ts';
import { verifyBundle } from '../../src/bundle/verify-bundle.ts';
import type { Descriptor } from '../../src/content/descriptor.ts';
import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { failureOf } from '../support/expect-error.ts';
import { makeArtifact, makeImage, makeIndex } from '../support/images.ts';
import { makeLayer, tarOf } from '../support/layers.ts';
import { type Fault, type RegistryProxy, startRegistryProxy } from '../support/registry-proxy.ts';

const layerBytes = 3_000_000;

let registry: DockerRegistry;
let proxy: RegistryProxy;
let client: RegistryClient;
/** Its requests end where the registry is silent for two seconds. */
let impatient: RegistryClient;
let out: string;
let wanted: WantedImage[];
const digests = new Map<string, string>();
let sharedLayer: Descriptor;
let plainLayer: Descriptor;
let views = 0;

beforeAll(async () => {
  registry = await startDockerRegistry();
  proxy = await startRegistryProxy(registry.host);
  client = new RegistryClient({ plainHttp: 'all', retries: 0 });
  impatient = new RegistryClient({ plainHttp: 'all', headersTimeoutMs: 2_000, bodyTimeoutMs: 2_000, retries: 0 });
  wanted = await pushImages();
});

afterAll(async () => {
  await client.close();
  await impatient.close();
  await proxy.stop();
  await registry.stop();
});

beforeEach(async () => {
  out = await mkdtemp(join(tmpdir(), 'edge-bundle-build-'));
});

afterEach(async () => {
  proxy.fault = undefined;
  await rm(out, { recursive: true, force: true });
});

/** Two images with a shared layer, one with a plain and a zstd layer, an index, an artifact known by digest only. */
async function pushImages(): Promise<WantedImage[]> {
  const random = (): Buffer => tarOf([{ path: 'data', content: randomBytes(layerBytes) }]);
  const store = client.repository(registry.host, 'app/one');
  const shared = await makeLayer(store, random());
  sharedLayer = shared.descriptor;
  const own = await makeLayer(store, random());
  const one = await makeImage(store, { layers: [shared, own], format: 'docker' });
  await store.tag(one, 'v1');

  const second = client.repository(registry.host, 'app/two');
  await second.mount(shared.descriptor, 'app/one');
  const plain = await makeLayer(second, tarOf([{ path: 'text', content: 'edge '.repeat(300_000) }]), {
    compression: 'none',
  });
  plainLayer = plain.descriptor;
  const zstd = await makeLayer(second, random(), { compression: 'zstd' });
  const two = await makeImage(second, { layers: [shared, plain, zstd] });
  await second.tag(two, 'v2');

  const third = client.repository(registry.host, 'app/multi');
  const amd = await makeImage(third, { layers: [await makeLayer(third, random())] });
  const arm = await makeImage(third, {
    layers: [await makeLayer(third, random())],
    platform: { os: 'linux', architecture: 'arm64' },
  });
  const index = await makeIndex(third, [amd, arm]);
  await third.tag(index, 'v3');
  const artifact = await makeArtifact(third, {
    artifactType: 'application/vnd.example.sbom',
    files: [{ name: 'sbom.json', mediaType: 'application/spdx+json', content: '{"spdxVersion":"SPDX-2.3"}' }],
    subject: index,
  });
  const references: [string, Descriptor][] = [
    ['app/one:v1', one],
    ['app/two:v2', two],
    ['app/multi:v3', index],
    [`app/multi@${artifact.digest}`, artifact],
  ];
  return references.map(([name, { digest }]) => {
    const reference = `${proxy.host}/${name}`;
    digests.set(reference, digest);
    return { reference, sources: [{ profile: 'test', path: name, class: 'declared' }] };
  });
}

function build(options: Partial<BuildOptions> = {}): ReturnType<typeof buildBundle> {
  return buildBundle({ name: 'test', images: wanted, profiles: [], source: client, out, ...options });
}

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/**
 * skopeo finds only OCI media types by their name in a layout (containers/image, oci/layout, getManifestDescriptor); a
 * Docker manifest it reads where it is the only one. So the image is shown alone, over the same blobs.
 */
function skopeoView(layout: string, reference: string): string {
  const view = join(out, `view-${String(views++)}`);
  const index = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as {
    manifests: { mediaType: string; annotations: Record<string, string> }[];
  };
  const manifests = index.manifests.filter(
    ({ annotations }) => annotations['org.opencontainers.image.ref.name'] === reference,
  );
  if (manifests[0]?.mediaType.includes('oci') === true) return `${layout}:${reference}`;
  mkdirSync(view);
  symlinkSync(join(layout, 'blobs'), join(view, 'blobs'));
  symlinkSync(join(layout, 'oci-layout'), join(view, 'oci-layout'));
  writeFileSync(join(view, 'index.json'), JSON.stringify({ ...index, manifests }));
  return view;
}

function finishedBundles(): string[] {
  return readdirSync(out, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.tar.zst'));
}

function onBlob(descriptor: Descriptor, fault: Fault): void {
  proxy.fault = ({ method, path }) =>
    method === 'GET' && path.includes(`/blobs/${descriptor.digest}`) ? fault : undefined;
}

describe('a build', () => {
  it('makes a bundle whose unpacked layout skopeo reads, every image with the digest of its source', async () => {
    const { bundle } = await build();
    const layout = join(out, 'unpacked');
    execFileSync('mkdir', [layout]);
    execFileSync('tar', ['--zstd', '-xf', bundle.path, '-C', layout]);
    execFileSync('zstd', ['-q', '-t', bundle.path]);
    for (const [reference, digest] of digests) {
      const image = `oci:${skopeoView(layout, reference)}`;
      const raw = execFileSync('skopeo', ['inspect', '--raw', image]);
      expect(`sha256:${createHash('sha256').update(raw).digest('hex')}`).toBe(digest);
      const copy = join(out, `copy-${digest.slice(7)}`);
      execFileSync('skopeo', ['copy', '-q', '--all', '--preserve-digests', image, `dir:${copy}`]);
      expect(`sha256:${sha256(join(copy, 'manifest.json'))}`).toBe(digest);
    }
  });

  it('names folder and file after the digest of bundle.json', async () => {
    const { bundle } = await build();
    const document = execFileSync('tar', ['--zstd', '-xOf', bundle.path, 'bundle.json']);
    const hex = createHash('sha256').update(document).digest('hex');
    expect(bundle).toMatchObject({ digest: `sha256:${hex}`, id: hex.slice(0, 16) });
    expect(bundle.path).toBe(join(out, `content-${bundle.id}`, `core-test-${bundle.id}.tar.zst`));
    expect(bundle.bytes).toBe((await stat(bundle.path)).size);
    expect(readdirSync(join(out, `content-${bundle.id}`))).toEqual([`core-test-${bundle.id}.tar.zst`]);
  });

  it('downloads and stores a layer that two images share once, and says what that saved', async () => {
    const before = proxy.answers.length;
    const result = await build();
    const gets = proxy.answers.slice(before).filter(({ method }) => method === 'GET');
    const blobGets = gets.filter(({ path }) => path.includes('/blobs/')).map(({ path }) => path.split('/').at(-1));
    expect(blobGets.filter((digest) => digest === sharedLayer.digest)).toHaveLength(1);
    expect(new Set(blobGets).size).toBe(blobGets.length);
    // The index is the artifact's subject too, with all that is below it.
    expect(result.bytes.saved).toBe(result.bytes.referenced - result.bytes.stored);
    expect(result.bytes.saved).toBeGreaterThan(sharedLayer.size + 2 * layerBytes);
    const bundle = await BundleReader.open(result.bundle.path);
    expect((await verifyBundle(bundle)).failures).toEqual([]);
    await bundle.close();
  });

  it('gives the same bytes at concurrency 1 and 8', async () => {
    const one = await build({ concurrency: 1, out: join(out, 'one') });
    const eight = await build({ concurrency: 8, out: join(out, 'eight') });
    expect(sha256(eight.bundle.path)).toBe(sha256(one.bundle.path));
  });

  it('takes a bundle that is there already as it is, without fetching a layer', async () => {
    const first = await build();
    const before = proxy.blobBytes;
    const second = await build();
    expect(second.bundle).toEqual(first.bundle);
    expect(proxy.blobBytes - before).toBeLessThan(10_000);
  });

  it('makes a bundle anew where the one that is there is cut short', async () => {
    const first = await build();
    const whole = sha256(first.bundle.path);
    execFileSync('truncate', ['--size=-100', first.bundle.path]);
    const second = await build();
    expect(sha256(second.bundle.path)).toBe(whole);
  });

  it('lists all missing images together, and sets aside what can be had', async () => {
    const images = [
      ...wanted,
      ...['none/a:1', 'app/one:v9'].map((name) => ({ reference: `${proxy.host}/${name}`, sources: [] })),
    ];
    const error = await failureOf(build({ images }));
    expect(error).toMatchObject({ code: 'NOT_FOUND', exitCode: 3 });
    expect(error.failures.map(({ message }) => message)).toEqual([
      expect.stringContaining('none/a:1'),
      expect.stringContaining('app/one:v9'),
    ]);
    expect(readdirSync(out)).toEqual(['.set-aside']);
  });

  it('refuses a layer with another digest, and the next build goes on with everything else', async () => {
    onBlob(sharedLayer, { kind: 'corrupt', atByte: 1_000_000 });
    const error = await failureOf(build());
    expect(error).toMatchObject({ code: 'DIGEST_MISMATCH', exitCode: 4 });
    expect(error.failures[0]?.message).toContain(sharedLayer.digest);
    expect(finishedBundles()).toEqual([]);
    proxy.fault = undefined;
    const result = await build();
    expect(result.bytes.downloaded).toBeLessThan(sharedLayer.size + 100_000);
    expect(sha256(result.bundle.path)).toBe(sha256((await build({ out: join(out, 'fresh') })).bundle.path));
  });

  for (const [name, layer] of [
    ['stored', () => sharedLayer],
    ['compressed', () => plainLayer],
  ] as const) {
    it(`goes on in the middle of a ${name} layer whose body was cut short`, async () => {
      const afterBytes = 1_300_000;
      onBlob(layer(), { kind: 'truncate', afterBytes });
      const error = await failureOf(build());
      expect(error).toMatchObject({ code: 'TRANSFER_INCOMPLETE', exitCode: 75 });
      expect(finishedBundles()).toEqual([]);
      proxy.fault = undefined;
      const before = proxy.answers.length;
      const result = await build();
      const again = proxy.answers.slice(before).filter(({ path }) => path.includes(layer().digest));
      expect(again).toMatchObject([{ status: 206 }]);
      expect(again[0]?.bytes).toBeLessThan(layer().size - 1_000_000);
      expect(sha256(result.bundle.path)).toBe(sha256((await build({ out: join(out, 'fresh') })).bundle.path));
    });
  }

  it('ends with a time-out where the registry hangs in a body', async () => {
    onBlob(sharedLayer, { kind: 'hang', afterBytes: 100_000 });
    const error = await failureOf(build({ source: impatient }));
    expect(error).toMatchObject({ code: 'TIMEOUT', exitCode: 75 });
    expect(error.failures).toHaveLength(1);
    expect(finishedBundles()).toEqual([]);
  });

  it('ends with a time-out where the registry never answers', async () => {
    proxy.fault = () => ({ kind: 'hang' });
    expect(await failureOf(build({ source: impatient }))).toMatchObject({ code: 'TIMEOUT', exitCode: 75 });
  });

  it('refuses a manifest of more than 4 MiB before it reads it', async () => {
    const size = String(4 * 1024 * 1024 + 1);
    proxy.fault = ({ path }) =>
      path.includes('/app/one/manifests/')
        ? {
            kind: 'answer',
            status: 200,
            headers: {
              'content-type': 'application/vnd.oci.image.manifest.v1+json',
              'docker-content-digest': `sha256:${'a'.repeat(64)}`,
              'content-length': size,
            },
          }
        : undefined;
    const error = await failureOf(build());
    expect(error).toMatchObject({ code: 'CONTENT_TOO_LARGE', exitCode: 1 });
    expect(error.failures[0]?.message).toContain(size);
  });

  it('stops when it is aborted, and the next build goes on', async () => {
    const abort = new AbortController();
    const error = await failureOf(
      build({
        signal: abort.signal,
        onEvent: (event) => {
          if (event.type === 'planned') setImmediate(() => abort.abort());
        },
      }),
    );
    expect(error).toMatchObject({ code: 'ABORTED' });
    expect(finishedBundles()).toEqual([]);
    const result = await build();
    expect(sha256(result.bundle.path)).toBe(sha256((await build({ out: join(out, 'fresh') })).bundle.path));
  });

  it('refuses a name that cannot be part of a file name', async () => {
    expect(await failureOf(build({ name: '../evil' }))).toMatchObject({ code: 'CONFIG_INVALID' });
    expect(await failureOf(build({ name: 'x'.repeat(64) }))).toMatchObject({ code: 'CONFIG_INVALID' });
  });
});
