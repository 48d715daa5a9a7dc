import * as z from 'zod';

import { EdgeBundleError, isEdgeBundleError } from '../errors.ts';
import { type Descriptor, descriptorSchema } from './descriptor.ts';
import { ensureUnambiguous } from './json-text.ts';
import { listOf, recordOf } from './list-schema.ts';
import { isImageManifest, isIndex, mediaTypes } from './media-types.ts';

/** An image manifest or artifact manifest (OCI image-spec v1.1, manifest.md; Docker image manifest v2 schema 2). */
export interface ImageManifest {
  readonly kind: 'manifest';
  readonly artifactType?: string | undefined;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly subject?: Descriptor | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** An image index (OCI image-spec v1.1, image-index.md) or a Docker manifest list. */
export interface ImageIndex {
  readonly kind: 'index';
  readonly artifactType?: string | undefined;
  readonly manifests: readonly Descriptor[];
  readonly subject?: Descriptor | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

export type Manifest = ImageManifest | ImageIndex;

const common = {
  schemaVersion: z.literal(2),
  mediaType: z.string().optional(),
  artifactType: z.string().optional(),
  subject: descriptorSchema.optional(),
  annotations: recordOf(z.string()).optional(),
};

const imageManifestSchema = z.object({ ...common, config: descriptorSchema, layers: listOf(descriptorSchema) });
const imageIndexSchema = z.object({ ...common, manifests: listOf(descriptorSchema) });

/**
 * Reads a manifest of one of the types in `mediaTypes`. The bytes themselves stay what is stored and hashed.
 *
 * @throws EdgeBundleError UNSUPPORTED for other types, CONTENT_INVALID with path and reason where it is malformed, says
 *   another media type inside than outside, or could be read in more than one way
 */
export function parseManifest(bytes: Uint8Array, target: Descriptor): Manifest {
  const { mediaType } = target;
  if (!isImageManifest(mediaType) && !isIndex(mediaType)) {
    throw new EdgeBundleError('UNSUPPORTED', `${target.digest}: '${mediaType}' is not a manifest type that is known`, {
      hint: mediaType.includes('manifest.v1')
        ? 'Docker schema 1 images have no content digests of their own; push the image again with a current tool.'
        : 'OCI manifests and indexes and Docker v2 schema 2 manifests and lists can be carried.',
    });
  }
  const json = parseJson(bytes, target);
  ensureOneKind(json, target);
  if (isIndex(mediaType)) {
    const index = parseAs(imageIndexSchema, json, target);
    ensureSameType(index.mediaType, target);
    const { artifactType, manifests, subject, annotations } = index;
    return { kind: 'index', artifactType, manifests, subject, annotations };
  }
  const manifest = parseAs(imageManifestSchema, json, target);
  ensureSameType(manifest.mediaType, target);
  const { artifactType, config, layers, subject, annotations } = manifest;
  return { kind: 'manifest', artifactType, config, layers, subject, annotations };
}

/** What `manifest` points to, in the order in which a registry wants it: subject, config and layers, or manifests. */
export function successors(manifest: Manifest): readonly Descriptor[] {
  const subject = manifest.subject === undefined ? [] : [manifest.subject];
  return manifest.kind === 'index'
    ? [...subject, ...manifest.manifests]
    : [...subject, manifest.config, ...manifest.layers];
}

/**
 * The media type that a manifest states itself, for content whose descriptor is not known yet: `mediaType`, or what its
 * members imply. Undefined where the bytes are not a manifest.
 */
export function detectManifestType(bytes: Uint8Array): string | undefined {
  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return undefined;
  }
  if (typeof json !== 'object' || json === null) return undefined;
  if ('mediaType' in json && typeof json.mediaType === 'string') return json.mediaType;
  if ('manifests' in json) return mediaTypes.ociIndex;
  if ('config' in json && 'layers' in json) return mediaTypes.ociManifest;
  return undefined;
}

function parseJson(bytes: Uint8Array, target: Descriptor): unknown {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    ensureUnambiguous(text, `${target.digest}: the manifest`);
    return JSON.parse(text);
  } catch (cause) {
    if (isEdgeBundleError(cause)) throw cause;
    throw new EdgeBundleError('CONTENT_INVALID', `${target.digest}: the manifest is not JSON in UTF-8`, { cause });
  }
}

/** What is both would be one thing to us, and another to the cluster (CVE-2021-41190); containerd refuses it too. */
function ensureOneKind(json: unknown, target: Descriptor): void {
  if (typeof json !== 'object' || json === null) return;
  const [own, others] = isIndex(target.mediaType)
    ? (['index', ['config', 'layers', 'fsLayers']] as const)
    : (['image manifest', ['manifests', 'fsLayers']] as const);
  const foreign = others.find((name) => isFilled(Reflect.get(json, name)));
  if (foreign === undefined) return;
  throw new EdgeBundleError('CONTENT_INVALID', `${target.digest}: it is an ${own}, and has '${foreign}'`);
}

function isFilled(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : value !== undefined && value !== null;
}

function parseAs<T>(schema: z.ZodType<T>, json: unknown, target: Descriptor): T {
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new EdgeBundleError(
    'CONTENT_INVALID',
    `${target.digest}: the manifest is malformed at '${issue?.path.join('.') ?? ''}': ${issue?.message ?? 'unknown'}`,
  );
}

function ensureSameType(inside: string | undefined, target: Descriptor): void {
  if (inside === undefined || inside === target.mediaType) return;
  throw new EdgeBundleError(
    'CONTENT_INVALID',
    `${target.digest}: the manifest says it is '${inside}', its descriptor says '${target.mediaType}'`,
  );
}
