import type { Readable } from 'node:stream';

import type { Descriptor } from '../content/descriptor.ts';
import { digestAlgorithm, digestOf, isDigest } from '../content/digest.ts';
import { detectManifestType, parseManifest } from '../content/manifest.ts';
import { isManifest, manifestAccept } from '../content/media-types.ts';
import type { NamedManifest, OperationOptions } from '../content/store.ts';
import { bytesOf, maxManifestBytes, readContent, verified } from '../content/verify.ts';
import { EdgeBundleError, isEdgeBundleError } from '../errors.ts';
import { fetchContent } from './fetch-content.ts';
import type { HttpResponse } from './http-response.ts';
import { manifestName, putManifest } from './put-manifest.ts';
import { isTag } from './reference.ts';
import type { ReferrersIndex } from './referrers-index.ts';
import type { RepositoryAccess } from './repository-access.ts';
import { transientFailure } from './retry-policy.ts';

/**
 * What a tag or a digest stands for: a HEAD (OCI distribution-spec v1.1, "Checking if content exists in the registry"),
 * and a GET where its answer lacks the digest, the size or the type.
 *
 * @throws EdgeBundleError NOT_FOUND, REFERENCE_INVALID, DIGEST_MISMATCH where a digest gives other content
 */
export async function resolveManifest(
  access: RepositoryAccess,
  reference: string,
  options: OperationOptions = {},
): Promise<Descriptor> {
  const request = manifestRequest(access, reference, options);
  const head = await access.send({ ...request, method: 'HEAD' });
  await head.discard();
  const resolved =
    described(head) ?? (await readBody(await access.send({ ...request, method: 'GET' }), reference)).descriptor;
  ensureDigest(head, reference, resolved);
  return resolved;
}

/**
 * What a tag or a digest stands for together with its content: one GET instead of a HEAD and a GET. Where there are
 * mirrors that is left apart, since not every one that has the content may say what a tag stands for.
 *
 * @throws EdgeBundleError as `resolveManifest` does
 */
export async function readManifest(
  access: RepositoryAccess,
  reference: string,
  options: OperationOptions = {},
): Promise<NamedManifest> {
  const request = manifestRequest(access, reference, options);
  const onlyResolved = async (): Promise<NamedManifest> => ({
    descriptor: await resolveManifest(access, reference, options),
    bytes: undefined,
  });
  if (await access.hasMirrors()) return onlyResolved();
  const response = await access.send({ ...request, method: 'GET' });
  try {
    const { descriptor, bytes } = await readBody(response, reference);
    ensureDigest(response, reference, descriptor);
    return { descriptor, bytes };
  } catch (error) {
    // It broke off: what is fetched by its digest is gone on with where it stopped.
    if (transientFailure(error) === undefined) throw error;
    return onlyResolved();
  }
}

/**
 * Puts a manifest under its digest, with its exact type. Where it has a subject and the registry says nothing of it,
 * the list of referrers is kept as a tag ("Unavailable Referrers API").
 *
 * @throws EdgeBundleError CONTENT_TOO_LARGE over 4 MiB, CONTENT_INVALID, SIZE_MISMATCH, DIGEST_MISMATCH
 */
export async function pushManifest(
  access: RepositoryAccess,
  expected: Descriptor,
  content: Readable,
  options: OperationOptions & { readonly referrers: ReferrersIndex },
): Promise<void> {
  if (expected.size > maxManifestBytes) {
    throw new EdgeBundleError(
      'CONTENT_TOO_LARGE',
      `cannot push ${manifestName(access, expected.digest)}: a manifest has at most ${maxManifestBytes} bytes, this one ${expected.size}`,
    );
  }
  const { referrers, signal } = options;
  const chunks: Buffer[] = [];
  for await (const chunk of verified(expected, bytesOf(content, signal))) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  const manifest = parseManifest(bytes, expected);
  const response = await putManifest(access, expected.digest, { bytes, mediaType: expected.mediaType, signal });
  if (manifest.subject === undefined || response.header('oci-subject') !== undefined) return;
  await referrers.add({ subject: manifest.subject, descriptor: expected, manifest }, { signal });
}

/**
 * Gives a manifest of the repository a name. A tag that is right already is left alone: where tags are immutable, Harbor
 * refuses even the same content.
 */
export async function tagManifest(
  access: RepositoryAccess,
  target: Descriptor,
  tag: string,
  options: OperationOptions = {},
): Promise<void> {
  if (!isManifest(target.mediaType)) {
    throw new EdgeBundleError('UNSUPPORTED', `cannot tag ${target.digest}: '${target.mediaType}' is not a manifest`);
  }
  if (tag === target.digest) return;
  if (!isTag(tag)) throw new EdgeBundleError('REFERENCE_INVALID', `${JSON.stringify(tag)} is not a tag`);
  if ((await currentDigest(access, tag, options)) === target.digest) return;
  const bytes = await readContent({ fetch: (content, how) => fetchContent(access, content, how) }, target, options);
  await putManifest(access, tag, { bytes, mediaType: target.mediaType, ...options });
}

async function currentDigest(
  access: RepositoryAccess,
  tag: string,
  options: OperationOptions,
): Promise<string | undefined> {
  try {
    return (await resolveManifest(access, tag, options)).digest;
  } catch (error) {
    if (isEdgeBundleError(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
}

function described(head: HttpResponse): Descriptor | undefined {
  const { contentType, contentLength } = head;
  const digest = head.header('docker-content-digest');
  const isComplete = contentType !== undefined && contentLength !== undefined && contentLength > 0;
  if (!isComplete || digest === undefined || !isDigest(digest)) return undefined;
  return { mediaType: contentType, digest, size: contentLength };
}

function manifestRequest(access: RepositoryAccess, reference: string, { signal }: OperationOptions) {
  ensureTagOrDigest(reference);
  return {
    what: `cannot resolve ${manifestName(access, reference)}`,
    path: `manifests/${reference}`,
    actions: 'pull',
    headers: { accept: manifestAccept.join(', ') },
    expect: [200],
    signal,
  } as const;
}

function ensureDigest({ what, url }: HttpResponse, reference: string, { digest }: Descriptor): void {
  if (!isDigest(reference) || digest === reference) return;
  throw new EdgeBundleError('DIGEST_MISMATCH', `${what}: ${url.host} has ${digest} there`);
}

/** The digest is the registry's word where it gives one: whoever keeps the bytes verifies them. */
async function readBody(
  response: HttpResponse,
  reference: string,
): Promise<{ readonly descriptor: Descriptor; readonly bytes: Buffer }> {
  const announced = Number(response.header('content-length') ?? 0);
  if (announced > maxManifestBytes) {
    response.body.destroy();
    throw tooLarge(response, String(announced));
  }
  const bytes = await response.read(maxManifestBytes + 1);
  if (bytes.byteLength > maxManifestBytes) throw tooLarge(response, `more than ${maxManifestBytes}`);
  const { contentType } = response;
  const detected = detectManifestType(bytes);
  const mediaType = contentType !== undefined && isManifest(contentType) ? contentType : (detected ?? contentType);
  if (mediaType === undefined) {
    throw new EdgeBundleError(
      'CONTENT_INVALID',
      `${response.what}: ${response.url.host} has something else than a manifest there`,
    );
  }
  const named = response.header('docker-content-digest');
  const algorithm = isDigest(reference) ? digestAlgorithm(reference) : 'sha256';
  const digest = named !== undefined && isDigest(named) ? named : digestOf(bytes, algorithm);
  return { descriptor: { mediaType, digest, size: bytes.byteLength }, bytes };
}

function tooLarge({ what }: HttpResponse, bytes: string): EdgeBundleError {
  return new EdgeBundleError(
    'CONTENT_TOO_LARGE',
    `${what}: it has ${bytes} bytes; at most ${maxManifestBytes} are read`,
  );
}

function ensureTagOrDigest(reference: string): void {
  if (isTag(reference) || isDigest(reference)) return;
  throw new EdgeBundleError('REFERENCE_INVALID', `${JSON.stringify(reference)} is neither a tag nor a digest`);
}
