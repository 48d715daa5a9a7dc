import { Readable } from 'node:stream';

import type { Descriptor } from '../content/descriptor.ts';
import type { FetchOptions, OperationOptions } from '../content/store.ts';
import { acceptOf, contentPath, ContentSource } from './content-source.ts';
import { ContentStream } from './content-stream.ts';
import type { RepositoryAccess } from './repository-access.ts';

/**
 * The bytes of a blob or manifest, or of a range of it (OCI distribution-spec v1.1, "Pulling blobs"). What breaks off is
 * gone on with where it stopped. A registry that does not know ranges sends everything; what was not asked for, or has
 * come before, is skipped then.
 *
 * @throws EdgeBundleError NOT_FOUND, SIZE_MISMATCH where the registry tells another size, and those of `RepositoryAccess.send`
 */
export async function fetchContent(
  access: RepositoryAccess,
  target: Descriptor,
  options: FetchOptions = {},
): Promise<Readable> {
  const { range, signal } = options;
  const span = { start: range?.start ?? 0, end: range?.end ?? target.size };
  if (span.start === span.end && target.size > 0) return Readable.from([]);
  const source = new ContentSource(access, target, { span, signal });
  try {
    const attempts = access.traffic.retries.begin();
    return new ContentStream(source, span, await source.open(span, attempts), attempts);
  } catch (error) {
    source.close();
    throw error;
  }
}

/** Whether the repository has `target`: a HEAD of the blob or manifest. What the registry tells another size of is not it. */
export async function contentExists(
  access: RepositoryAccess,
  target: Descriptor,
  options: OperationOptions & { readonly actions?: 'pull' | 'pull,push' } = {},
): Promise<boolean> {
  const response = await access.send({
    what: `cannot look up ${target.digest} in ${access.label}`,
    method: 'HEAD',
    path: contentPath(target),
    actions: options.actions ?? 'pull',
    headers: acceptOf(target),
    expect: [200, 404],
    signal: options.signal,
  });
  await response.discard();
  const sizeBytes = response.contentLength ?? 0;
  return response.status === 200 && (sizeBytes === 0 || sizeBytes === target.size);
}
