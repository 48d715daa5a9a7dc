import { createCipheriv, createHash } from 'node:crypto';
import { Readable } from 'node:stream';

import fc from 'fast-check';

import type { Descriptor } from '../../src/content/descriptor.ts';
import { mediaTypes } from '../../src/content/media-types.ts';
import type { ContentStore } from '../../src/content/store.ts';

/** One content in memory. Digest and size are computed here, and not by the code under test. */
export interface Content {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
  /** What a manifest names, in its order. */
  readonly children: readonly Content[];
}

export interface ImageOptions {
  readonly format?: 'oci' | 'docker';
  readonly artifactType?: string;
  readonly subject?: Content;
  readonly annotations?: Readonly<Record<string, string>>;
}

export function sha256(bytes: Uint8Array | string): `sha256:${string}` {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

export function blob(bytes: Uint8Array | string, mediaType: string = mediaTypes.octetStream): Content {
  return content(Buffer.from(bytes), mediaType, []);
}

/** Bytes that differ for each seed and do not compress. */
export function noise(sizeBytes: number, seed: number | string): Buffer {
  const key = createHash('sha256').update(String(seed)).digest();
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(sizeBytes));
}

/** An image, or with an `artifactType` an artifact. */
export function image(layers: readonly Content[], options: ImageOptions = {}): Content {
  const { format = 'oci', subject, artifactType, annotations } = options;
  const isDocker = format === 'docker';
  const config =
    artifactType === undefined
      ? blob(
          JSON.stringify({ architecture: 'amd64', os: 'linux', layers: layers.map(({ descriptor }) => descriptor) }),
          isDocker ? mediaTypes.dockerConfig : mediaTypes.ociConfig,
        )
      : blob('{}', mediaTypes.ociEmpty);
  const mediaType = isDocker ? mediaTypes.dockerManifest : mediaTypes.ociManifest;
  return manifest(mediaType, { artifactType, annotations }, { subject, config, layers });
}

export function index(manifests: readonly Content[], options: ImageOptions = {}): Content {
  const { format = 'oci', subject, artifactType, annotations } = options;
  const mediaType = format === 'docker' ? mediaTypes.dockerManifestList : mediaTypes.ociIndex;
  return manifest(mediaType, { artifactType, annotations }, { subject, manifests });
}

/** All that is reachable from `roots`: children before parents, each once. */
export function contentsOf(...roots: readonly Content[]): readonly Content[] {
  const found = new Map<string, Content>();
  const visit = (at: Content): void => {
    if (found.has(at.descriptor.digest)) return;
    at.children.forEach(visit);
    found.set(at.descriptor.digest, at);
  };
  roots.forEach(visit);
  return [...found.values()];
}

export async function pushAll(store: ContentStore, ...roots: readonly Content[]): Promise<void> {
  for (const { descriptor, bytes } of contentsOf(...roots)) await store.push(descriptor, Readable.from([bytes]));
}

/** One of each kind, with a layer that several share. */
export function sampleGraphs(seed = 'sample'): Readonly<Record<string, Content>> {
  const shared = blob(noise(3000, `${seed} shared`), mediaTypes.ociLayerGzip);
  const layer = (name: string): Content => blob(noise(500, `${seed} ${name}`), mediaTypes.ociLayer);
  const dockerLayer = blob(noise(700, `${seed} docker`), mediaTypes.dockerLayerGzip);
  const amd64 = image([shared, layer('amd64')]);
  const arm64 = image([shared, layer('arm64')]);
  const multi = index([amd64, arm64]);
  return {
    image: amd64,
    'image with an empty layer': image([blob('', mediaTypes.ociLayer)]),
    'Docker image': image([dockerLayer], { format: 'docker' }),
    index: multi,
    'Docker manifest list': index([image([dockerLayer], { format: 'docker' })], { format: 'docker' }),
    'nested index': index([multi, image([layer('nested')])]),
    artifact: image([layer('file')], { artifactType: 'application/vnd.example.thing' }),
    'artifact with a subject': image([layer('signature')], {
      artifactType: 'application/vnd.example.signature',
      subject: multi,
    }),
    'empty index': index([]),
  };
}

/** Random graphs: images and indexes over a few layers, so that much is shared; now and then with a subject. */
export function arbitraryGraph(): fc.Arbitrary<Content> {
  const layers = fc
    .uniqueArray(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 6, selector: String })
    .map((all) => all.map((bytes) => blob(bytes, mediaTypes.ociLayer)));
  return layers.chain((all) => {
    const { node } = fc.letrec<{ node: Content; image: Content; index: Content }>((tie) => ({
      node: fc.oneof({ depthSize: 'small', withCrossShrink: true }, tie('image'), tie('index')),
      image: fc
        .record({ layers: fc.subarray(all), format: fc.constantFrom('oci', 'docker') })
        .map(({ layers: some, format }) => image(some, { format })),
      index: fc
        .record({
          children: fc.array(tie('node'), { maxLength: 4 }),
          subject: fc.option(tie('image'), { nil: undefined, freq: 4 }),
        })
        .map(({ children, subject }) => index(children, subject === undefined ? {} : { subject })),
    }));
    return node;
  });
}

interface Parts {
  readonly subject?: Content | undefined;
  readonly config?: Content;
  readonly layers?: readonly Content[];
  readonly manifests?: readonly Content[];
}

function manifest(mediaType: string, members: Readonly<Record<string, unknown>>, parts: Parts): Content {
  const { subject, config, layers, manifests } = parts;
  const descriptors = (all: readonly Content[] | undefined): readonly Descriptor[] | undefined =>
    all?.map(({ descriptor }) => descriptor);
  const json = {
    schemaVersion: 2,
    mediaType,
    ...members,
    config: config?.descriptor,
    layers: descriptors(layers),
    manifests: descriptors(manifests),
    subject: subject?.descriptor,
  };
  const children = [subject, config, ...(layers ?? []), ...(manifests ?? [])].filter((child) => child !== undefined);
  return content(Buffer.from(JSON.stringify(json)), mediaType, children);
}

function content(bytes: Buffer, mediaType: string, children: readonly Content[]): Content {
  return { descriptor: { mediaType, digest: sha256(bytes), size: bytes.byteLength }, bytes, children };
}
