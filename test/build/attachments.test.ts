import { Readable } from 'node:stream';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { buildBundle, type BuildOptions, type BuildResult } from '../../src/build/build-bundle.ts';
import type { BundleDocument } from '../../src/bundle/bundle-document.ts';
import { BundleReader } from '../../src/bundle/bundle-reader.ts';
import { verifyBundle } from '../../src/bundle/verify-bundle.ts';
import { mediaTypes } from '../../src/content/media-types.ts';
import { parsePlatform } from '../../src/content/platform-match.ts';
import { loadBundle } from '../../src/loader/load-bundle.ts';
import { verifyRegistry } from '../../src/loader/verify-registry.ts';
import { RegistryClient } from '../../src/oci-client/registry-client.ts';
import type { Repository } from '../../src/oci-client/repository.ts';
import { BundleContent } from '../../src/serve/bundle-content.ts';
import { serve, serveFolder } from '../serve/served.ts';
import { cosignSignature, cosignTag } from '../support/cosign.ts';
import { startDockerRegistry } from '../support/docker-registry.ts';
import { expectError } from '../support/expect-error.ts';
import { blob, type Content, image, noise, pushAll, sha256 } from '../support/graphs.ts';
import { type RegistryProxy, startRegistryProxy } from '../support/registry-proxy.ts';
import { memoryFolder } from '../support/temporary-folder.ts';

const layer = (seed: string): Content => blob(noise(3000, seed), mediaTypes.ociLayerGzip);

/** An index whose entries name their platforms. */
function indexOf(children: Readonly<Record<string, Content>>): Content {
  const manifests = Object.entries(children).map(([architecture, { descriptor }]) => ({
    ...descriptor,
    platform: { architecture, os: 'linux' },
  }));
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }));
  return {
    descriptor: { mediaType: mediaTypes.ociIndex, digest: sha256(bytes), size: bytes.byteLength },
    bytes,
    children: Object.values(children),
  };
}

const amd = image([layer('amd')]);
const arm = image([layer('arm')]);
const multi = indexOf({ amd64: amd, arm64: arm });
const signature = cosignSignature(multi);
const sbom = image([blob('{"spdxVersion":"SPDX-2.3"}', 'text/spdx+json')]);
const armAttestation = image([blob('in toto', 'application/vnd.in-toto+json')], {
  artifactType: 'application/vnd.in-toto+json',
  subject: arm,
});
const scan = image([blob('a scan')], { artifactType: 'application/vnd.example.scan', subject: multi });
const scanSignature = cosignSignature(scan);
const scanNote = image([blob('a note')], { artifactType: 'application/vnd.example.note', subject: scan });

interface Place {
  readonly host: string;
  stop(): Promise<void>;
}

async function ourRegistry(): Promise<Place> {
  const served = await serveFolder(await memoryFolder());
  return { host: served.host, stop: () => served.close() };
}

describe.each([
  ['docker-registry, which has no referrers API', startDockerRegistry as () => Promise<Place>, false],
  ['our registry, which has one', ourRegistry, true],
])('what belongs to an image, in %s', (_name, start, hasApi) => {
  let registry: Place;
  let proxy: RegistryProxy;
  let client: RegistryClient;
  let out: string;

  beforeAll(async () => {
    registry = await start();
    proxy = await startRegistryProxy(registry.host);
    client = new RegistryClient({ plainHttp: 'all', retries: 0 });
    out = await memoryFolder();
    const repository = client.repository(registry.host, 'team/app');
    await pushAll(repository, multi, signature, sbom, armAttestation, scan, scanSignature, scanNote);
    await repository.tag(multi.descriptor, 'v1');
    await repository.tag(multi.descriptor, 'v1.0');
    await repository.tag(signature.descriptor, cosignTag(multi, 'sig'));
    await repository.tag(sbom.descriptor, cosignTag(amd, 'sbom'));
    await repository.tag(scanSignature.descriptor, cosignTag(scan, 'sig'));
    const plain = client.repository(registry.host, 'team/plain');
    await pushAll(plain, image([layer('plain')]));
    await plain.tag(image([layer('plain')]).descriptor, 'v1');
  });
  afterEach(() => {
    proxy.fault = undefined;
  });
  afterAll(async () => {
    await client.close();
    await proxy.stop();
    await registry.stop();
  });

  function build(names: readonly string[], options: Partial<BuildOptions> = {}): Promise<BuildResult> {
    const images = names.map((name) => ({ reference: `${proxy.host}/${name}`, sources: [] }));
    return buildBundle({ name: 'test', images, profiles: [], source: client, out, ...options });
  }

  async function documentOf({ bundle }: BuildResult): Promise<BundleDocument> {
    const reader = await BundleReader.open(bundle.path);
    expect((await verifyBundle(reader)).failures).toEqual([]);
    await reader.close();
    return reader.document;
  }

  function attachmentNames({ attachments = [] }: BundleDocument): [name: string, subject: string][] {
    return attachments.map(({ reference, subject }) => [reference.replace(`${proxy.host}/team/app`, ''), subject]);
  }

  const [multiDigest, amdDigest, armDigest, scanDigest] = [multi, amd, arm, scan].map(
    ({ descriptor }) => descriptor.digest,
  ) as [string, string, string, string];

  it('travels with it, once, down to what belongs to that', async () => {
    const result = await build(['team/app:v1', 'team/app:v1.0']);
    const document = await documentOf(result);
    const expected: [string, string][] = [
      [`:${cosignTag(multi, 'sig')}`, multiDigest],
      [`:${cosignTag(amd, 'sbom')}`, amdDigest],
      [`@${armAttestation.descriptor.digest}`, armDigest],
      [`@${scan.descriptor.digest}`, multiDigest],
      [`:${cosignTag(scan, 'sig')}`, scanDigest],
      [`@${scanNote.descriptor.digest}`, scanDigest],
    ];
    expect(new Map(attachmentNames(document))).toEqual(new Map(expected));
    expect(result).toMatchObject({ images: 2, attachments: 6 });
    // Each behind what it is about.
    const order = attachmentNames(document).map(([name]) => name);
    for (const name of [`:${cosignTag(scan, 'sig')}`, `@${scanNote.descriptor.digest}`]) {
      expect(order.indexOf(name)).toBeGreaterThan(order.indexOf(`@${scan.descriptor.digest}`));
    }
    const again = await build(['team/app:v1', 'team/app:v1.0'], { out: await memoryFolder() });
    expect(again.bundle.digest).toBe(result.bundle.digest);
  });

  it('costs no request that is not needed', async () => {
    const from = proxy.answers.length;
    const fresh = new RegistryClient({ plainHttp: 'all' });
    const options = { source: fresh, out: await memoryFolder() };
    await build(['team/app:v1', 'team/app:v1.0', 'team/plain:v1'], options);
    await fresh.close();
    const requests = proxy.answers.slice(from).map(({ method, path }) => `${method} ${path}`);
    expect(requests.filter((request) => request.endsWith('/tags/list'))).toHaveLength(2);
    const referrers = requests.filter((request) => request.includes('/referrers/'));
    // Of team/app: three manifests and six that belong to them. Of team/plain: one.
    expect(referrers).toHaveLength(hasApi ? 10 : 2);
    const gets = requests.filter((request) => request.startsWith('GET') && /\/(manifests|blobs)\//.test(request));
    expect(gets).toHaveLength(new Set(gets).size);
    // Ten manifests, one of them by two tags; and where the API is missing, the lists that stand for it.
    const manifests = gets.filter((request) => request.includes('/manifests/'));
    expect(manifests).toHaveLength(hasApi ? 11 : 14);
    expect(requests.filter((request) => request.startsWith('HEAD'))).toEqual([]);
  });

  it('is left behind where it is not wanted, and not asked for', async () => {
    const from = proxy.answers.length;
    const document = await documentOf(await build(['team/app:v1'], { attachments: false }));
    expect(document.attachments).toBeUndefined();
    const paths = proxy.answers.slice(from).map(({ path }) => path);
    expect(paths.filter((path) => /referrers|tags\/list|sha256-/.test(path))).toEqual([]);
  });

  it('is found where the registry does not list its tags', async () => {
    proxy.fault = ({ path }) =>
      path.includes('/tags/list') ? { kind: 'answer', status: 403, body: '{"errors":[{"code":"DENIED"}]}' } : undefined;
    expect(await build(['team/app:v1'], { out: await memoryFolder() })).toMatchObject({ attachments: 6 });
  });

  it('fails the build where it is known to be there, and cannot be had', async () => {
    for (const name of [cosignTag(multi, 'sig'), armAttestation.descriptor.digest]) {
      proxy.fault = ({ path }) => (path.endsWith(`/manifests/${name}`) ? { kind: 'answer', status: 404 } : undefined);
      const options = { out: await memoryFolder() };
      const error = await expectError('NOT_FOUND', '', () => build(['team/app:v1'], options));
      expect(error.failures).toHaveLength(1);
      expect(error.failures[0]?.message).toContain(name);
    }
  });

  it('comes into another registry with it, with its tags, and as what refers to it', async () => {
    const target = await start();
    try {
      const bundle = await BundleReader.open((await build(['team/app:v1'])).bundle.path);
      const options = { bundle, client, registry: target.host, project: 'edge' };
      expect(await loadBundle(options)).toMatchObject({ images: 1, charts: 0, missing: [] });
      const repository = client.repository(target.host, `edge/${proxy.host.replace(':', '-')}/team/app`);
      expect((await repository.tags()).filter((tag) => !/^sha256-[0-9a-f]{64}$/.test(tag)).sort()).toEqual(
        ['v1', cosignTag(multi, 'sig'), cosignTag(amd, 'sbom'), cosignTag(scan, 'sig')].sort(),
      );
      expect((await repository.resolve(cosignTag(multi, 'sig'))).digest).toBe(signature.descriptor.digest);
      const referrersOf = async ({ descriptor }: Content): Promise<string[]> =>
        (await repository.referrers(descriptor)).map(({ digest }) => digest);
      expect(await referrersOf(multi)).toEqual([scan.descriptor.digest]);
      expect(await referrersOf(scan)).toEqual([scanNote.descriptor.digest]);
      expect(await referrersOf(arm)).toEqual([armAttestation.descriptor.digest]);
      expect((await verifyRegistry(options)).missing).toEqual([]);
      await moveTag(repository, cosignTag(multi, 'sig'), sbom);
      expect((await verifyRegistry(options)).missing).toMatchObject([
        { kind: 'tag', tag: cosignTag(multi, 'sig'), digest: signature.descriptor.digest },
      ]);
      await bundle.close();
    } finally {
      await target.stop();
    }
  });

  if (!hasApi) {
    it('is listed again where a load was interrupted before it was', async () => {
      const target = await start();
      try {
        const bundle = await BundleReader.open((await build(['team/app:v1'])).bundle.path);
        const options = { bundle, client, registry: target.host, project: 'edge' };
        await loadBundle(options);
        const name = `edge/${proxy.host.replace(':', '-')}/team/app`;
        const repository = client.repository(target.host, name);
        const list = await repository.resolve(scan.descriptor.digest.replace(':', '-'));
        const url = `http://${target.host}/v2/${name}/manifests/${list.digest}`;
        expect((await fetch(url, { method: 'DELETE' })).status).toBe(202);
        expect((await verifyRegistry(options)).missing).toMatchObject([
          { kind: 'referrer', digest: scanNote.descriptor.digest },
        ]);
        expect(await loadBundle(options)).toMatchObject({ blobs: { uploaded: 0 }, missing: [] });
        expect((await repository.referrers(scan.descriptor)).map(({ digest }) => digest)).toEqual([
          scanNote.descriptor.digest,
        ]);
        await bundle.close();
      } finally {
        await target.stop();
      }
    });
  }

  it('is served from the bundle', async () => {
    const bundle = await BundleReader.open((await build(['team/app:v1'])).bundle.path);
    const served = await serve(new BundleContent(bundle));
    const repository = client.repository(served.host, `${proxy.host.replace(':', '-')}/team/app`);
    expect((await repository.resolve(cosignTag(multi, 'sig'))).digest).toBe(signature.descriptor.digest);
    expect((await repository.referrers(scan.descriptor)).map(({ digest }) => digest)).toEqual([
      scanNote.descriptor.digest,
    ]);
    await served.close();
    await bundle.close();
  });

  it('is not orphaned by cutting an index, unless that is accepted', async () => {
    const platforms = [parsePlatform('arm64')];
    const error = await expectError('CONFIG_INVALID', '', () => build(['team/app:v1'], { platforms }));
    expect(error.failures[0]?.message).toContain(cosignTag(multi, 'sig'));
    expect(error.failures[0]?.message).toContain(scan.descriptor.digest);

    const warnings: string[] = [];
    const result = await build(['team/app:v1'], {
      platforms,
      allowOrphanedSignatures: true,
      onEvent: (event) => {
        if (event.type === 'warning') warnings.push(event.text);
      },
    });
    expect(warnings).toEqual([expect.stringContaining(cosignTag(multi, 'sig'))]);
    const document = await documentOf(result);
    expect(document.platforms).toEqual(['linux/arm64']);
    expect(document.images).toMatchObject([{ originalDigest: multiDigest, mediaType: mediaTypes.ociIndex }]);
    expect(document.images[0]?.digest).not.toBe(multiDigest);
    expect(attachmentNames(document)).toEqual([[`@${armAttestation.descriptor.digest}`, armDigest]]);
    expect(document.blobs.map(({ digest }) => digest)).not.toContain(amdDigest);
  });

  it('keeps an index whole that is asked for by its digest', async () => {
    const result = await build([`team/app@${multiDigest}`, 'team/app:v1'], { platforms: [parsePlatform('arm64')] });
    const document = await documentOf(result);
    expect(document.images.map(({ digest }) => digest)).toEqual([multiDigest, multiDigest]);
    expect(document.images.map(({ originalDigest }) => originalDigest)).toEqual([undefined, undefined]);
    expect(document.attachments).toHaveLength(6);
  });
});

async function moveTag(repository: Repository, tag: string, content: Content): Promise<void> {
  await repository.push(content.descriptor, Readable.from([content.bytes]));
  await repository.tag(content.descriptor, tag);
}
