import { isDigest } from '../content/digest.ts';
import type { OperationOptions } from '../content/store.ts';
import type { HttpResponse } from './http-response.ts';
import type { RepositoryAccess } from './repository-access.ts';

export interface ManifestContent extends OperationOptions {
  readonly bytes: Buffer;
  readonly mediaType: string;
}

/**
 * Puts a manifest under a tag or a digest (OCI distribution-spec v1.1, "Pushing Manifests"). The body of the answer is
 * dropped.
 */
export async function putManifest(
  access: RepositoryAccess,
  reference: string,
  { bytes, mediaType, signal }: ManifestContent,
): Promise<HttpResponse> {
  const response = await access.send({
    what: `cannot push ${manifestName(access, reference)}`,
    method: 'PUT',
    path: `manifests/${reference}`,
    actions: 'pull,push',
    headers: { 'content-type': mediaType },
    body: bytes,
    expect: [200, 201, 202],
    signal,
  });
  await response.discard();
  return response;
}

/** `host/name:tag` or `host/name@digest`, for messages. */
export function manifestName(access: RepositoryAccess, reference: string): string {
  return `${access.label}${isDigest(reference) ? '@' : ':'}${reference}`;
}
