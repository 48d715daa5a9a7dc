import { packArtifact } from '../../src/artifact/pack-artifact.ts';
import { buildBundle, type BuildOptions, type BuildResult } from '../../src/build/build-bundle.ts';
import type { ImageSource, WantedChart } from '../../src/build/wanted-content.ts';
import { mediaTypes } from '../../src/content/media-types.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { text } from '../support/bundles.ts';
import { blob, type Content, image, index, noise, pushAll } from '../support/graphs.ts';

/** What there is to build from: images by their references in normal form, and packs. */
export interface World {
  readonly images: Readonly<Record<string, Content>>;
  /** Signatures and the like, in the repository of what they belong to. */
  readonly attachments?: Readonly<Record<string, Content>>;
  readonly packs?: Readonly<Record<string, Buffer>>;
}

const gzip = mediaTypes.ociLayerGzip;

export const layers = {
  base: blob(noise(60_000, 'base'), gzip),
  app1: blob(noise(21_000, 'app 1'), gzip),
  app2: blob(noise(22_000, 'app 2'), gzip),
  app3: blob(noise(23_000, 'app 3'), gzip),
  tool: blob(noise(140_000, 'tool'), mediaTypes.ociLayerZstd),
  /** Compressed by the bundle, and too large to share frames. */
  plain: blob(text(300_000), mediaTypes.ociLayer),
  plain2: blob(text(400_000), mediaTypes.ociLayer),
  moving: blob(noise(31_000, 'moving'), gzip),
} as const;

const { base, app1, app2, app3, tool, plain, plain2, moving } = layers;
export const tools = index([image([base, tool]), image([plain, tool])]);
/** In the repository of `tools`. */
export const signature = image([blob('signed', mediaTypes.octetStream)], {
  artifactType: 'application/vnd.example.signature',
  subject: tools,
});

export const apps = { one: image([base, app1]), two: image([base, app2]), three: image([base, app3, plain2]) } as const;

/** What a site has. */
export const first: World = {
  images: {
    'docker.io/library/app:1': apps.one,
    'quay.io/org/tool:1': tools,
    'registry.k8s.io/old:1': image([moving]),
  },
  attachments: { 'quay.io/org/tool': signature },
};

/** A tag has moved, a layer is in another repository than before, an image is gone, a pack is new. */
export const second: World = {
  ...first,
  images: {
    'docker.io/library/app:1': apps.two,
    'quay.io/org/tool:1': tools,
    'ghcr.io/new/home:1': image([moving, app2]),
  },
  packs: { web: noise(5_000, 'web') },
};

export const third: World = {
  ...second,
  images: {
    ...second.images,
    'docker.io/library/app:1': apps.three,
    'docker.io/library/plain:1': image([plain, moving]),
  },
};

/** Everything that an image, an index or an artifact needs, by digest. */
export function digestsOf(contents: Iterable<Content>): Set<string> {
  const found = new Set<string>();
  const visit = ({ descriptor, children }: Content): void => {
    found.add(descriptor.digest);
    children.forEach(visit);
  };
  for (const content of contents) visit(content);
  return found;
}

/** Those of them that are manifests or indexes. */
export function manifestsOf(contents: Iterable<Content>): Set<string> {
  const found = new Set<string>();
  const visit = ({ descriptor, children }: Content): void => {
    if (/manifest|index/.test(descriptor.mediaType)) found.add(descriptor.digest);
    children.forEach(visit);
  };
  for (const content of contents) visit(content);
  return found;
}

export function contentsOfWorld({ images, attachments = {} }: World): Content[] {
  return [...Object.values(images), ...Object.values(attachments)];
}

/** Builds from memory. */
export async function build(world: World, out: string, options: Partial<BuildOptions> = {}): Promise<BuildResult> {
  const { images, attachments = {}, packs = {} } = world;
  const stores = new Map<string, MemoryStore>();
  const storeOf = (name: string): MemoryStore => {
    const store = stores.get(name) ?? new MemoryStore();
    stores.set(name, store);
    return store;
  };
  for (const [reference, content] of Object.entries(images)) {
    const [, name = '', tag = ''] = /^(.*):(.*)$/.exec(reference) ?? [];
    const store = storeOf(name);
    await pushAll(store, content);
    await store.tag(content.descriptor, tag);
  }
  for (const [name, content] of Object.entries(attachments)) await pushAll(storeOf(name), content);
  const source: ImageSource = { repository: (registry, repository) => storeOf(`${registry}/${repository}`) };
  const charts: WantedChart[] = [];
  for (const [name, archive] of Object.entries(packs)) {
    charts.push({ ...(await packArtifact({ name, version: '1.0.0', archive })), sources: [] });
  }
  return buildBundle({
    name: 'site',
    images: Object.keys(images).map((reference) => ({ reference, sources: [] })),
    charts,
    profiles: [],
    source,
    out,
    ...options,
  });
}
