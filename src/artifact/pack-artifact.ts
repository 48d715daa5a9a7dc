import { mediaTypes } from '../content/media-types.ts';
import { type Artifact, makeArtifact } from './artifact.ts';

const artifactType = 'application/vnd.unknown.artifact.v1';

/** A pack as an archive. */
export interface PackArchive {
  readonly name: string;
  readonly version: string;
  /** The pack's folder as a `tar.gz`. */
  readonly archive: Buffer;
}

/**
 * The artifact that `oras push …/spectro-packs/archive/<name>:<version> <name>-<version>.tar.gz` makes (ORAS 1.2; OCI image-spec
 * v1.1, manifest.md, "Guidelines for Artifact Usage"), but without the time of its creation. ORAS gives every file the media
 * type of a plain tar.
 */
export function packArtifact({ name, version, archive }: PackArchive): Promise<Artifact> {
  return makeArtifact(
    { kind: 'pack', name, version },
    { bytes: Buffer.from('{}'), mediaType: mediaTypes.ociEmpty },
    { bytes: archive, mediaType: mediaTypes.ociLayer },
    (config, layer) => ({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      artifactType,
      config: { ...config, data: 'e30=' },
      layers: [{ ...layer, annotations: { 'org.opencontainers.image.title': `${name}-${version}.tar.gz` } }],
    }),
  );
}
