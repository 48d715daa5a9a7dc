import { Readable } from 'node:stream';

import { type Descriptor, describe } from '../content/descriptor.ts';
import { mediaTypes } from '../content/media-types.ts';
import type { ReadOnlyContentStore, Resolver } from '../content/store.ts';
import { MemoryStore } from '../store/memory-store.ts';
import { goJson } from './go-json.ts';
import { versionTag } from './version-tag.ts';

export type ArtifactKind = 'chart' | 'pack';

/** A chart or a pack as an OCI artifact that was made from bytes: equal bytes give equal digests. */
export interface Artifact {
  readonly kind: ArtifactKind;
  readonly name: string;
  readonly version: string;
  /** What stands for a place of origin: `localhost/charts/<name>:<version>`, `localhost/spectro-packs/archive/<name>:<version>`. */
  readonly reference: string;
  readonly root: Descriptor;
  /** Has all of the artifact, in memory, and resolves the tag of `reference`. */
  readonly store: ReadOnlyContentStore & Resolver;
}

/** What a file of an artifact is: its bytes and what the manifest says of them. */
export interface ArtifactFile {
  readonly bytes: Buffer;
  readonly mediaType: string;
}

const folders: Readonly<Record<ArtifactKind, string>> = { chart: 'charts', pack: 'spectro-packs/archive' };

/** The reference of an artifact that is made from bytes, in normal form. */
export function localReference({ kind, name, version }: Pick<Artifact, 'kind' | 'name' | 'version'>): string {
  return `localhost/${folders[kind]}/${name}:${versionTag(version)}`;
}

/** Puts an artifact of one layer together. `manifestOf` is given the descriptors of config and layer. */
export async function makeArtifact(
  { kind, name, version }: Pick<Artifact, 'kind' | 'name' | 'version'>,
  config: ArtifactFile,
  layer: ArtifactFile,
  manifestOf: (config: Descriptor, layer: Descriptor) => object,
): Promise<Artifact> {
  const store = new MemoryStore();
  const push = async ({ bytes, mediaType }: ArtifactFile): Promise<Descriptor> => {
    const descriptor = describe(bytes, mediaType);
    await store.push(descriptor, Readable.from([bytes]));
    return descriptor;
  };
  const manifest = manifestOf(await push(config), await push(layer));
  const root = await push({ bytes: goJson(manifest), mediaType: mediaTypes.ociManifest });
  const tag = versionTag(version);
  await store.tag(root, tag);
  return { kind, name, version, reference: localReference({ kind, name, version }), root, store };
}
