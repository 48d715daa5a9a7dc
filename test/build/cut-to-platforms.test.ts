import { Readable } from 'node:stream';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { cutToPlatforms, type CutImage } from '../../src/build/cut-to-platforms.ts';
import { collectGraph } from '../../src/content/graph.ts';
import { parseManifest } from '../../src/content/manifest.ts';
import { mediaTypes } from '../../src/content/media-types.ts';
import { parsePlatform, platformNames } from '../../src/content/platform-match.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { blob, type Content, contentsOf, image, noise, pushAll, sha256 } from '../support/graphs.ts';

/** An entry of an index, as a registry's clients write it: its members in their order, some unknown. */
interface Entry {
  readonly content: Content;
  readonly members?: Readonly<Record<string, unknown>>;
}

/** An index, written by hand. */
function rawIndex(entries: readonly Entry[], mediaType: string = mediaTypes.ociIndex, extra: object = {}): Content {
  const json = {
    schemaVersion: 2,
    mediaType,
    manifests: entries.map(({ content: { descriptor }, members }) => ({ ...descriptor, ...members })),
    ...extra,
  };
  const bytes = Buffer.from(JSON.stringify(json, null, 1));
  return {
    descriptor: { mediaType, digest: sha256(bytes), size: bytes.byteLength },
    bytes,
    children: entries.map(({ content }) => content),
  };
}

const imageOf = (name: string): Content => image([blob(noise(50, name), mediaTypes.ociLayer)]);

function forPlatform(platform: string, name = platform): Entry {
  const [os = '', architecture = '', variant] = platform.split('/');
  return { content: imageOf(name), members: { platform: { architecture, os, variant } } };
}

function attestationOf({ content }: Entry): Entry {
  return {
    content: image([blob(`attestation of ${content.descriptor.digest}`)], {}),
    members: {
      annotations: {
        'vnd.docker.reference.digest': content.descriptor.digest,
        'vnd.docker.reference.type': 'attestation-manifest',
      },
      platform: { architecture: 'unknown', os: 'unknown' },
    },
  };
}

async function cut(root: Content, ...platforms: string[]): Promise<CutImage & { readonly store: MemoryStore }> {
  const store = new MemoryStore();
  await pushAll(store, root);
  const result = await cutToPlatforms(store, root.descriptor, platforms.map(parsePlatform));
  for (const { descriptor, bytes } of result.made) await store.push(descriptor, Readable.from([bytes]));
  return { ...result, store };
}

interface RawIndex {
  readonly manifests: readonly { readonly digest: string }[];
}

function madeIndex({ made, root }: CutImage): RawIndex {
  const found = made.find(({ descriptor }) => descriptor.digest === root.digest);
  if (found === undefined) throw new Error('the root was not made anew');
  return JSON.parse(found.bytes.toString('utf8')) as RawIndex;
}

const digestsOf = (...entries: readonly Entry[]): string[] => entries.map(({ content }) => content.descriptor.digest);

describe('an index that is cut to platforms', () => {
  const [amd, arm, armV6, armV7, windows] = [
    'linux/amd64',
    'linux/arm64/v8',
    'linux/arm/v6',
    'linux/arm/v7',
    'windows/amd64',
  ].map((name) => forPlatform(name)) as [Entry, Entry, Entry, Entry, Entry];
  const all = rawIndex([amd, arm, armV6, armV7, windows]);

  it('has what the platform runs, and stays an index', async () => {
    const result = await cut(all, 'amd64');
    expect(madeIndex(result).manifests.map(({ digest }) => digest)).toEqual(digestsOf(amd));
    expect(result).toMatchObject({ missing: [], replaced: [{ digest: all.descriptor.digest }] });
    expect(result.root.mediaType).toBe(mediaTypes.ociIndex);
    expect(result.offered).toEqual(['linux/amd64', 'linux/arm/v6', 'linux/arm/v7', 'linux/arm64', 'windows/amd64']);
  });

  it('keeps several platforms in the order of the index', async () => {
    const result = await cut(all, 'arm64', 'amd64');
    expect(madeIndex(result).manifests.map(({ digest }) => digest)).toEqual(digestsOf(amd, arm));
  });

  it('has the nearest variant that the platform runs', async () => {
    for (const [platform, entry] of [
      ['arm/v8', armV7],
      ['arm/v7', armV7],
      ['arm/v6', armV6],
      ['amd64/v3', amd],
    ] as const) {
      expect(
        madeIndex(await cut(all, platform)).manifests.map(({ digest }) => digest),
        platform,
      ).toEqual(digestsOf(entry));
    }
  });

  it('tells what it does not have, and stays whole where it has nothing', async () => {
    expect(await cut(all, 'arm/v5')).toMatchObject({ made: [], missing: [{ variant: 'v5' }] });
    const some = await cut(all, 'amd64', 's390x');
    expect(platformNames(some.missing)).toEqual(['linux/s390x']);
    expect(madeIndex(some).manifests.map(({ digest }) => digest)).toEqual(digestsOf(amd));
  });

  it('stays the same bytes where it has nothing else', async () => {
    const only = rawIndex([amd, armV7]);
    const result = await cut(only, 'amd64', 'arm');
    expect(result).toMatchObject({ root: only.descriptor, made: [], replaced: [], missing: [] });
  });

  it.each([mediaTypes.ociIndex, mediaTypes.dockerManifestList])(
    'keeps the type and all members of a %s',
    async (type) => {
      const entry = { ...amd, members: { ...amd.members, urls: [], 'x-unknown': { deep: [1, null] } } };
      const extra = { annotations: { a: 'b' }, artifactType: 'application/x', 'x-more': true };
      const index = rawIndex([arm, entry], type, extra);
      const result = await cut(index, 'amd64');
      const before = JSON.parse(index.bytes.toString('utf8')) as RawIndex;
      expect(madeIndex(result)).toEqual({ ...before, manifests: [before.manifests[1]] });
      expect(Object.keys(madeIndex(result))).toEqual(Object.keys(before));
      expect(result.root.mediaType).toBe(type);
    },
  );

  it('keeps an attestation with what it describes, and drops it with that', async () => {
    const [amdProof, armProof] = [attestationOf(amd), attestationOf(arm)];
    const index = rawIndex([amd, arm, amdProof, armProof]);
    const result = await cut(index, 'arm64');
    expect(madeIndex(result).manifests.map(({ digest }) => digest)).toEqual(digestsOf(arm, armProof));
    expect(result.offered).toEqual(['linux/amd64', 'linux/arm64']);
  });

  it('keeps what is for no platform: artifacts, and entries that describe nothing that is there', async () => {
    const artifact = { content: image([blob('sbom')], { artifactType: 'application/spdx+json' }) };
    const stray = attestationOf({ content: imageOf('elsewhere') });
    const index = rawIndex([amd, artifact, stray, arm]);
    const result = await cut(index, 'amd64');
    expect(madeIndex(result).manifests.map(({ digest }) => digest)).toEqual(digestsOf(amd, artifact, stray));
  });

  it('asks the configs of entries that do not say what they are for', async () => {
    const silent = { content: imageOf('silent, and for amd64 by its config') };
    const result = await cut(rawIndex([arm, silent]), 'amd64');
    expect(madeIndex(result).manifests.map(({ digest }) => digest)).toEqual(digestsOf(silent));
  });

  it('cuts the indexes in it too, and drops what nothing is left of', async () => {
    const inner = rawIndex([arm, amd, attestationOf(amd)]);
    const other = rawIndex([armV7]);
    const outer = rawIndex([
      { content: inner, members: { data: inner.bytes.toString('base64'), annotations: { name: 'inner' } } },
      { content: other },
      armV6,
    ]);
    const result = await cut(outer, 'amd64');
    expect(result.replaced.map(({ digest }) => digest)).toEqual([inner.descriptor.digest, outer.descriptor.digest]);
    const graph = await collectGraph(result.store, result.root);
    const images = graph.manifests.filter(({ manifest }) => manifest.kind === 'manifest');
    expect(images.map(({ descriptor }) => descriptor.digest)).toEqual(digestsOf(amd, attestationOf(amd)));
    const [entry] = madeIndex(result).manifests;
    expect(entry).toEqual({
      mediaType: mediaTypes.ociIndex,
      digest: result.made[0]?.descriptor.digest,
      size: result.made[0]?.bytes.byteLength,
      annotations: { name: 'inner' },
    });
  });

  it('does not keep an attestation of an index that is another one now', async () => {
    const inner = { content: rawIndex([arm, amd]) };
    const result = await cut(rawIndex([inner, attestationOf(inner)]), 'amd64');
    expect(madeIndex(result).manifests).toHaveLength(1);
  });

  it('gives the same bytes for the same index', async () => {
    const [one, other] = [await cut(all, 'amd64', 'arm64'), await cut(all, 'arm64', 'x86_64')];
    expect(other.root).toEqual(one.root);
  });

  it('refuses indexes without an end', async () => {
    let nested = rawIndex([amd]);
    for (let depth = 0; depth < 20; depth += 1) nested = rawIndex([{ content: nested }]);
    await expect(cut(nested, 'amd64')).rejects.toMatchObject({ code: 'CONTENT_INVALID' });
  });

  it('refuses indexes that name each other more often than anybody could count', async () => {
    let nested = rawIndex([amd]);
    for (let depth = 0; depth < 3; depth += 1)
      nested = rawIndex(Array.from({ length: 50 }, () => ({ content: nested })));
    await expect(cut(nested, 'amd64')).rejects.toMatchObject({ code: 'CONTENT_INVALID' });
  });

  const platforms = ['linux/amd64', 'linux/amd64/v3', 'linux/arm64', 'linux/arm/v6', 'linux/arm/v7', 'windows/amd64'];

  it('is a valid index with some of its entries, whatever is asked for', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...platforms), { minLength: 1, maxLength: 8 }),
        fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }),
        fc.subarray(['amd64', 'amd64/v2', 'arm64', 'arm/v7', 's390x'], { minLength: 1 }),
        async (names, attested, asked) => {
          const entries = names.flatMap((name, at) => {
            const entry = forPlatform(name, `${name} ${at}`);
            return attested[at] === true ? [entry, attestationOf(entry)] : [entry];
          });
          const index = rawIndex(entries);
          const result = await cut(index, ...asked);
          const runs: Record<string, readonly string[]> = {
            amd64: ['linux/amd64'],
            'amd64/v2': ['linux/amd64'],
            arm64: ['linux/arm64'],
            'arm/v7': names.includes('linux/arm/v7') ? ['linux/arm/v7'] : ['linux/arm/v6'],
            s390x: [],
          };
          const wanted = new Set(asked.flatMap((platform) => runs[platform] ?? []));
          const kept = entries.filter((entry) => {
            const about = aboutOf(entry);
            const subject =
              about === undefined ? entry : entries.find(({ content }) => content.descriptor.digest === about);
            return wanted.has(nameOf(subject));
          });
          const expected = kept.length === 0 ? entries : kept;
          const graph = await collectGraph(result.store, result.root);
          const root = graph.manifests.at(-1);
          if (root?.manifest.kind !== 'index') throw new Error('not an index');
          expect(root.manifest.manifests.map(({ digest }) => digest)).toEqual(digestsOf(...expected));
          expect(parseManifest(root.bytes, result.root).kind).toBe('index');
          expect(result.root.digest).toBe(sha256(root.bytes));
          expect(result.made.length > 0).toBe(expected.length < entries.length);
          expect(result.missing).toHaveLength(
            asked.filter((platform) => !(runs[platform] ?? []).some((name) => names.includes(name))).length,
          );
        },
      ),
      { numRuns: 100 },
    );
  });
});

function aboutOf({ members }: Entry): string | undefined {
  const annotations = members?.annotations as Record<string, string> | undefined;
  return annotations?.['vnd.docker.reference.digest'];
}

function nameOf(entry: Entry | undefined): string {
  const { os, architecture, variant } = (entry?.members?.platform ?? {}) as Record<string, string | undefined>;
  return [os, architecture, variant].filter((part) => part !== undefined).join('/');
}

describe('an image that is no index', () => {
  it('is for the platform that its config says', async () => {
    const single = imageOf('single');
    expect(await cut(single, 'amd64')).toMatchObject({ root: single.descriptor, missing: [], made: [] });
    const other = await cut(single, 'arm64');
    expect(other).toMatchObject({ root: single.descriptor, offered: ['linux/amd64'] });
    expect(platformNames(other.missing)).toEqual(['linux/arm64']);
  });

  it('is for all platforms where it is an artifact', async () => {
    const artifact = image([blob('chart')], { artifactType: 'application/vnd.cncf.helm.config.v1+json' });
    expect(await cut(artifact, 's390x')).toMatchObject({ root: artifact.descriptor, missing: [], offered: [] });
  });

  it('is for all platforms where its config names none, as in a signature of cosign', async () => {
    const config = blob(JSON.stringify({ architecture: '', os: '', config: {} }), mediaTypes.ociConfig);
    const layer = blob('{}', 'application/vnd.dev.cosign.simplesigning.v1+json');
    const json = { schemaVersion: 2, config: config.descriptor, layers: [layer.descriptor] };
    const bytes = Buffer.from(JSON.stringify(json));
    const signature: Content = {
      descriptor: { mediaType: mediaTypes.ociManifest, digest: sha256(bytes), size: bytes.byteLength },
      bytes,
      children: [config, layer],
    };
    expect(contentsOf(signature)).toHaveLength(3);
    expect(await cut(signature, 'amd64')).toMatchObject({ missing: [], offered: [] });
  });
});
