import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join, relative } from 'node:path';

import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import type { BuildResult } from '../../src/build/build-bundle.ts';
import { BundleReader } from '../../src/bundle/bundle-reader.ts';
import { readBundleDocument } from '../../src/bundle/read-document.ts';
import { HarborClient } from '../../src/harbor/harbor-client.ts';
import { loadBundle } from '../../src/loader/load-bundle.ts';
import type { LoadOptions } from '../../src/loader/load-options.ts';
import type { LoadResult } from '../../src/loader/load-result.ts';
import { verifyRegistry } from '../../src/loader/verify-registry.ts';
import { FixedCredentials } from '../../src/oci-client/credentials.ts';
import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import { BundleContent } from '../../src/serve/bundle-content.ts';
import { startRegistryServer } from '../../src/serve/registry-server.ts';
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts';
import { expectError } from '../support/expect-error.ts';
import { harborAdmin, HarborFront } from '../support/harbor-front.ts';
import { startRegistryProxy } from '../support/registry-proxy.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { blob, noise } from '../support/graphs.ts';
import { build, digestsOf, first, layers, manifestsOf, second, signature, third, tools, type World } from './world.ts';

const project = 'spectro-images';
const closing: (() => Promise<unknown>)[] = [];

/** Bundles by what they are. */
let full1: BuildResult;
let full2: BuildResult;
let full3: BuildResult;
let delta2: BuildResult;
let delta3: BuildResult;
/** Only adds to the first. */
let added: BuildResult;
let fullAdded: BuildResult;
let registry: DockerRegistry;

beforeAll(async () => {
  const out = await temporaryFolder();
  const on = async ({ bundle }: BuildResult, world: World): Promise<BuildResult> =>
    build(world, out, { base: await readBundleDocument(bundle.path) });
  full1 = await build(first, out);
  delta2 = await on(full1, second);
  delta3 = await on(delta2, third);
  full2 = await build(second, out);
  full3 = await build(third, out);
  const more: World = { ...first, images: { ...first.images, ...pick(third, 'docker.io/library/plain:1') } };
  added = await on(full1, more);
  fullAdded = await build(more, out);
});

beforeEach(async () => {
  registry = await start();
});

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function pick({ images }: World, reference: string): World['images'] {
  return Object.fromEntries(Object.entries(images).filter(([name]) => name === reference));
}

async function start(): Promise<DockerRegistry> {
  const started = await startDockerRegistry();
  closing.push(() => started.stop());
  return started;
}

async function open({ bundle }: BuildResult): Promise<BundleReader> {
  const reader = await BundleReader.open(bundle.path);
  closing.push(() => reader.close());
  return reader;
}

async function targetOf(built: BuildResult, host: string): Promise<LoadOptions> {
  const client = new RegistryClient({ plainHttp: 'all', retries: 0 });
  closing.push(() => client.close());
  return { bundle: await open(built), client, registry: host, project };
}

async function load(built: BuildResult, { host }: { readonly host: string } = registry): Promise<LoadResult> {
  return loadBundle(await targetOf(built, host));
}

/** All that a docker-registry keeps: repositories, tags, manifests, the blobs of each, and every content. */
function stateOf({ storage }: DockerRegistry): ReadonlyMap<string, string> {
  // It is made with the first content.
  if (!existsSync(storage)) return new Map();
  const files = readdirSync(storage, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    files
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path): [string, string] => [
        relative(storage, path),
        createHash('sha256').update(readFileSync(path)).digest('hex'),
      ])
      .sort(([one], [other]) => (one < other ? -1 : 1)),
  );
}

function hexOf({ descriptor }: { readonly descriptor: { readonly digest: string } }): string {
  return descriptor.digest.slice('sha256:'.length);
}

describe('a base and then deltas', () => {
  it('leave the same state as the base and then the full bundle', async () => {
    const other = await start();
    await load(full1);
    await load(full1, other);
    expect((await load(delta2)).missing).toEqual([]);
    await load(full2, other);
    expect([...stateOf(registry)]).toEqual([...stateOf(other)]);
    expect((await load(delta3)).missing).toEqual([]);
    await load(full3, other);
    expect([...stateOf(registry)]).toEqual([...stateOf(other)]);
  });

  it('leave the same state as the full bundle alone where they only add', async () => {
    const other = await start();
    await load(full1);
    const result = await load(added);
    await load(fullAdded, other);
    expect([...stateOf(registry)]).toEqual([...stateOf(other)]);
    // Both layers of the new image are in other repositories: nothing but its config is sent.
    expect(result.blobs).toMatchObject({ uploaded: 1, mounted: 2 });
    expect(result.bytes.mounted).toBe(layers.plain.descriptor.size + layers.moving.descriptor.size);
    // A second run finds all of it.
    expect((await load(added)).blobs).toMatchObject({ uploaded: 0, mounted: 0 });
    const verification = await verifyRegistry(await targetOf(added, registry.host));
    expect(verification.missing).toEqual([]);
  });

  it('find a layer in an image that the base had and the delta has not', async () => {
    await load(full1);
    const { blobs } = await load(delta2);
    // `moving` was in registry.k8s.io/old only.
    expect(blobs.mounted).toBeGreaterThanOrEqual(1);
    const layer = `ghcr.io/new/home/_layers/sha256/${hexOf(layers.moving)}/link`;
    expect([...stateOf(registry).keys()].some((path) => path.endsWith(layer))).toBe(true);
  });

  it('find what a signature and a pack had that are gone', async () => {
    const out = await temporaryFolder();
    const before = await build({ ...first, packs: { web: noise(5_000, 'web') } }, out);
    const after: World = {
      images: { 'ghcr.io/org/tool:1': tools },
      attachments: { 'ghcr.io/org/tool': signature },
      packs: { shop: noise(5_000, 'web') },
    };
    const delta = await build(after, out, { base: await readBundleDocument(before.bundle.path) });
    const { base } = (await open(delta)).document;
    expect(base?.attachments.map(({ reference }) => reference)).toEqual([
      `quay.io/org/tool@${signature.descriptor.digest}`,
    ]);
    expect(base?.charts.map(({ name }) => name)).toEqual(['web']);
    await load(before);
    const { blobs, missing } = await load(delta);
    expect(missing).toEqual([]);
    // Nothing but the empty configs, which are always carried.
    expect(blobs.uploaded).toBeLessThanOrEqual(1);
    expect(blobs.mounted).toBeGreaterThanOrEqual(
      digestsOf([tools, signature]).size - manifestsOf([tools, signature]).size,
    );
    const links = [...stateOf(registry).keys()];
    const layer = `spectro-packs/archive/shop/_layers/sha256/${hexOf(blob(noise(5_000, 'web')))}/link`;
    expect(links.some((path) => path.endsWith(layer))).toBe(true);
  });
});

describe('a delta whose base is not there', () => {
  it('sends nothing to an empty registry, and names all that is missing', async () => {
    const error = await expectError('BASE_MISSING', full1.bundle.id, () => load(delta2));
    expect(error.exitCode).toBe(3);
    expect(error.hint).toContain(`core-site-${full1.bundle.id}.tar.zst`);
    const base = (await open(delta2)).document.base?.blobs ?? [];
    expect(base.length).toBeGreaterThan(3);
    for (const { digest } of base) {
      expect(error.failures.some(({ message }) => message.includes(digest))).toBe(true);
    }
    expect(error.failures.map(({ message }) => message).join('\n')).toContain('(ghcr.io/new/home:1)');
    expect([...stateOf(registry)]).toEqual([]);
  });

  it('sends nothing where one blob of it is missing', async () => {
    await load(full1);
    const repository = 'docker/registry/v2/repositories/spectro-images/quay.io/org/tool';
    await rm(join(registry.storage, repository, '_layers/sha256', hexOf(layers.tool)), { recursive: true });
    await rm(
      join(registry.storage, 'docker/registry/v2/blobs/sha256', hexOf(layers.tool).slice(0, 2), hexOf(layers.tool)),
      {
        recursive: true,
      },
    );
    const before = stateOf(registry);
    const error = await expectError('BASE_MISSING', 'lacks 1 of the blobs', () => load(delta2));
    expect(error.failures).toHaveLength(1);
    expect(error.failures[0]?.message).toContain(
      `spectro-images/quay.io/org/tool: blob ${layers.tool.descriptor.digest} is missing (quay.io/org/tool:1`,
    );
    expect([...stateOf(registry)]).toEqual([...before]);
    const { missing } = await verifyRegistry(await targetOf(added, registry.host));
    expect(missing.map(({ kind, digest }) => `${kind} ${digest}`)).toContain(`blob ${layers.tool.descriptor.digest}`);
  });

  it('sends nothing where an image names a blob that the registry does not have any more', async () => {
    await load(full1);
    // In this image of the base alone, whose manifest stays.
    const repository = 'docker/registry/v2/repositories/spectro-images/registry.k8s.io/old';
    await rm(join(registry.storage, repository, '_layers/sha256', hexOf(layers.moving)), { recursive: true });
    const before = stateOf(registry);
    const error = await expectError('BASE_MISSING', 'lacks 1 of the blobs', () => load(delta2));
    expect(error.failures.map(({ message }) => message)).toEqual([
      expect.stringContaining(`ghcr.io/new/home: blob ${layers.moving.descriptor.digest} is missing`),
    ]);
    expect([...stateOf(registry)]).toEqual([...before]);
  });

  it("looks for it no further where a repository is nobody's business, and names the blob", async () => {
    await load(full1);
    const proxy = await startRegistryProxy(registry.host, {
      fault: ({ path }) => (path.includes('registry.k8s.io/old') ? { kind: 'answer', status: 403 } : undefined),
    });
    closing.push(() => proxy.stop());
    const before = stateOf(registry);
    const error = await expectError('BASE_MISSING', 'lacks 1 of the blobs', () => load(delta2, proxy));
    expect(error.failures[0]?.message).toContain(layers.moving.descriptor.digest);
    expect([...stateOf(registry)]).toEqual([...before]);
  });

  it('is passed over where an image of the base has no place in any registry', async () => {
    await load(full1);
    const target = await targetOf(delta2, registry.host);
    const { document } = target.bundle;
    const { base } = document;
    const [image] = base?.images ?? [];
    if (base === undefined || image === undefined) throw new Error('there is no image of the base');
    const images = [{ ...image, reference: 'no::reference' }, ...base.images];
    const bundle: LoadOptions['bundle'] = {
      document: { ...document, base: { ...base, images } },
      exists: (descriptor) => target.bundle.exists(descriptor),
      fetch: (descriptor, options) => target.bundle.fetch(descriptor, options),
    };
    expect((await loadBundle({ ...target, bundle })).missing).toEqual([]);
  });

  it('sends nothing to a Harbor', async () => {
    const front = await HarborFront.start();
    closing.push(() => front.close());
    const credentials = new FixedCredentials(front.host, {
      username: harborAdmin.name,
      password: harborAdmin.password,
    });
    const options = { credentials, ca: front.ca };
    const [client, harbor] = [new RegistryClient(options), new HarborClient(front.host, options)];
    closing.push(
      () => client.close(),
      () => harbor.close(),
    );
    const into = async (built: BuildResult): Promise<LoadOptions> => ({
      ...{ bundle: await open(built), client, harbor, registry: front.host, project },
    });
    const refused = await into(delta2);
    await expectError('BASE_MISSING', full1.bundle.id, () => loadBundle(refused));
    expect(front.requests.filter(({ method, path }) => path.startsWith('/v2/') && !/GET|HEAD/.test(method))).toEqual(
      [],
    );
    expect([...stateOf(front.backend)]).toEqual([]);
    await loadBundle(await into(full1));
    const result = await loadBundle(await into(delta2));
    expect(result.missing).toEqual([]);
    expect(result.blobs.mounted).toBeGreaterThanOrEqual(1);
    expect(front.state.violations).toEqual([]);
  });
});

describe('a registry that does not mount', () => {
  it('is named, with where the blob is, and gets no manifest', async () => {
    await load(full1);
    const proxy = await startRegistryProxy(registry.host, {
      fault: ({ path }) => (path.includes('mount=') ? { kind: 'answer', status: 405 } : undefined),
    });
    closing.push(() => proxy.stop());
    const before = stateOf(registry);
    const error = await expectError('UNSUPPORTED', 'does not mount', () => load(added, proxy));
    expect(error.failures[0]?.message).toMatch(
      /docker\.io\/library\/plain: sha256:[0-9a-f]{64} cannot be mounted from /,
    );
    expect(error.hint).toContain('edge-bundle merge');
    expect([...stateOf(registry)]).toEqual([...before]);
  });
});

describe('a delta that is served', () => {
  it('has its manifests and its own blobs; those of its base are not found', async () => {
    const bundle = await open(delta2);
    const server = await startRegistryServer({ content: new BundleContent(bundle), host: '127.0.0.1', port: 0 });
    closing.push(() => server.close());
    const status = async (path: string, method = 'GET'): Promise<number> =>
      (await fetch(`${server.url}/v2/docker.io/library/app/${path}`, { method })).status;
    expect(await status('manifests/1')).toBe(200);
    expect(await status(`blobs/${layers.app2.descriptor.digest}`)).toBe(200);
    expect(await status(`blobs/${layers.base.descriptor.digest}`)).toBe(404);
    expect(await status(`blobs/${layers.base.descriptor.digest}`, 'HEAD')).toBe(404);
  });
});
