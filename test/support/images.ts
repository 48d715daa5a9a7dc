import { Readable } from 'node:stream';

import { type Descriptor, describe } from '../../src/content/descriptor.ts';
import { mediaTypes } from '../../src/content/media-types.ts';
import type { Platform } from '../../src/content/platform.ts';
import type { ContentStore } from '../../src/content/store.ts';
import type { Layer } from './layers.ts';

export type ImageFormat = 'oci' | 'docker';

export interface ImageOptions {
  readonly layers: readonly Layer[];
  /** Default: linux/amd64. */
  readonly platform?: Platform | undefined;
  /** Default: 1970, so that the same layers give the same image. */
  readonly created?: Date | undefined;
  /** `Entrypoint`, `Cmd`, `Env`, `Labels` … (OCI image-spec v1.1, config.md). */
  readonly config?: Readonly<Record<string, unknown>> | undefined;
  /** Default: oci. Docker's format knows gzip layers only. */
  readonly format?: ImageFormat | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

export interface IndexOptions {
  readonly format?: ImageFormat | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

export interface ArtifactFile {
  readonly name: string;
  readonly mediaType: string;
  readonly content: Uint8Array | string;
}

export interface ArtifactOptions {
  readonly artifactType: string;
  readonly files: readonly ArtifactFile[];
  /** What the artifact is about: an image in the same repository. */
  readonly subject?: Descriptor | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

const formats = {
  oci: { manifest: mediaTypes.ociManifest, index: mediaTypes.ociIndex, config: mediaTypes.ociConfig },
  docker: {
    manifest: mediaTypes.dockerManifest,
    index: mediaTypes.dockerManifestList,
    config: mediaTypes.dockerConfig,
  },
} as const;

/** Pushes the config and the manifest of an image whose layers `store` has. The descriptor names the platform. */
export async function makeImage(store: ContentStore, options: ImageOptions): Promise<Descriptor> {
  const { layers, platform = { os: 'linux', architecture: 'amd64' }, format = 'oci', annotations } = options;
  const created = (options.created ?? new Date(0)).toISOString();
  const types = formats[format];
  const config = await pushJson(store, types.config, {
    created,
    ...platform,
    config: options.config ?? {},
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(({ createdBy }) => ({ created, created_by: createdBy })),
  });
  const manifest = await pushJson(store, types.manifest, {
    schemaVersion: 2,
    mediaType: types.manifest,
    config,
    layers: layers.map(({ descriptor }) => (format === 'docker' ? asDockerLayer(descriptor) : descriptor)),
    annotations,
  });
  return { ...manifest, platform };
}

/** Pushes an index of manifests that `store` has; their descriptors should name their platforms. */
export async function makeIndex(
  store: ContentStore,
  manifests: readonly Descriptor[],
  options: IndexOptions = {},
): Promise<Descriptor> {
  const mediaType = formats[options.format ?? 'oci'].index;
  return pushJson(store, mediaType, { schemaVersion: 2, mediaType, manifests, annotations: options.annotations });
}

/** Pushes an artifact with an empty config (OCI image-spec v1.1, manifest.md, "Guidelines for Artifact Usage"). */
export async function makeArtifact(store: ContentStore, options: ArtifactOptions): Promise<Descriptor> {
  const { artifactType, subject, annotations } = options;
  const layers: Descriptor[] = [];
  for (const { name, mediaType, content } of options.files) {
    const layer = await pushBytes(store, mediaType, Buffer.from(content));
    layers.push({ ...layer, annotations: { 'org.opencontainers.image.title': name } });
  }
  return pushJson(store, mediaTypes.ociManifest, {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    artifactType,
    config: await pushJson(store, mediaTypes.ociEmpty, {}),
    layers,
    subject: subject && { mediaType: subject.mediaType, digest: subject.digest, size: subject.size },
    annotations,
  });
}

function asDockerLayer(descriptor: Descriptor): Descriptor {
  if (descriptor.mediaType !== mediaTypes.ociLayerGzip) {
    throw new Error(`Docker's image format has no layer type for ${descriptor.mediaType}`);
  }
  return { ...descriptor, mediaType: mediaTypes.dockerLayerGzip };
}

async function pushJson(store: ContentStore, mediaType: string, value: unknown): Promise<Descriptor> {
  return pushBytes(store, mediaType, Buffer.from(JSON.stringify(value)));
}

async function pushBytes(store: ContentStore, mediaType: string, bytes: Buffer): Promise<Descriptor> {
  const descriptor = describe(bytes, mediaType);
  await store.push(descriptor, Readable.from([bytes]));
  return descriptor;
}
