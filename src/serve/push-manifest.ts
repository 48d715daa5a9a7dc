import type { Descriptor } from '../content/descriptor.ts';
import { digestAlgorithm, digestOf, isDigest } from '../content/digest.ts';
import { detectManifestType, type Manifest, parseManifest } from '../content/manifest.ts';
import { isManifest } from '../content/media-types.ts';
import { maxManifestBytes } from '../content/verify.ts';
import { isEdgeBundleError } from '../errors.ts';
import { isTag } from '../oci-client/reference.ts';
import { ProtocolError } from './protocol-error.ts';
import type { PushOptions } from './push-blob.ts';

/** `PUT` of a manifest: OCI distribution-spec v1.1, "Pushing Manifests". */
export async function pushManifest(name: string, reference: string, options: PushOptions): Promise<void> {
  const { exchange, writer } = options;
  const byDigest = isDigest(reference);
  if (!byDigest && !isTag(reference)) {
    throw new ProtocolError(
      400,
      'MANIFEST_INVALID',
      `not a tag or a digest: ${JSON.stringify(reference.slice(0, 80))}`,
    );
  }
  const bytes = await exchange.readBody(maxManifestBytes);
  const digest = digestOf(bytes, byDigest ? digestAlgorithm(reference) : 'sha256');
  if (byDigest && digest !== reference) {
    throw new ProtocolError(400, 'DIGEST_INVALID', `expected a manifest of digest ${reference}, ${digest} came`);
  }
  const mediaType = exchange.header('content-type')?.split(';')[0]?.trim() ?? detectManifestType(bytes) ?? '';
  const target: Descriptor = { mediaType, digest, size: bytes.byteLength };
  const manifest = parse(bytes, target);
  await ensureComplete(name, manifest, options);
  await writer.putManifest(name, target, bytes, byDigest ? undefined : reference);
  const { subject } = manifest;
  exchange.sendEmpty(201, {
    location: `/v2/${name}/manifests/${digest}`,
    'docker-content-digest': digest,
    ...(subject === undefined ? {} : { 'oci-subject': subject.digest }),
  });
}

function parse(bytes: Buffer, target: Descriptor): Manifest {
  try {
    return parseManifest(bytes, target);
  } catch (cause) {
    if (!isEdgeBundleError(cause, 'CONTENT_INVALID', 'UNSUPPORTED')) throw cause;
    throw new ProtocolError(400, 'MANIFEST_INVALID', cause.message, { cause });
  }
}

/** @throws ProtocolError where the repository lacks something that the manifest names; its subject may come later */
async function ensureComplete(name: string, manifest: Manifest, options: PushOptions): Promise<void> {
  const { content, exchange } = options;
  const children = manifest.kind === 'index' ? manifest.manifests : [manifest.config, ...manifest.layers];
  const repository = await content.repository(name);
  const missing: Descriptor[] = [];
  for (const child of children) {
    // What has addresses of its own need not be in the registry: image-spec v1.1, layer.md, "Non-Distributable Layers".
    if (child.urls !== undefined && child.urls.length > 0) continue;
    const found = isManifest(child.mediaType)
      ? await repository?.findManifest(child.digest)
      : await repository?.findBlob(child.digest);
    const isThere = found?.size === child.size && (await content.store.exists(found, { signal: exchange.signal }));
    if (!isThere) missing.push(child);
  }
  if (missing.length === 0) return;
  const digests = [...new Set(missing.map(({ digest }) => digest))];
  throw new ProtocolError(
    400,
    'MANIFEST_BLOB_UNKNOWN',
    `${name} lacks, in the size and kind that the manifest names: ${digests.join(', ')}`,
    {
      detail: { digests },
    },
  );
}
