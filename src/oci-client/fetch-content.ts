import { Readable } from 'node:stream';

import type { Descriptor } from '../content/descriptor.ts';
import { isManifest } from '../content/media-types.ts';
import type { FetchOptions, OperationOptions } from '../content/store.ts';
import { EdgeBundleError } from '../errors.ts';
import { ContentStream } from './content-stream.ts';
import type { HttpResponse } from './http-response.ts';
import type { RepositoryAccess } from './repository-access.ts';

interface Span {
  readonly start: number;
  readonly end: number;
}

/**
 * The bytes of a blob or manifest, or of a range of it (OCI distribution-spec v1.1, "Pulling blobs"). A registry that
 * does not know ranges sends everything; what was not asked for is skipped then.
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
  const isWhole = span.start === 0 && span.end === target.size;
  if (!isWhole && span.start === span.end) return Readable.from([]);
  const response = await access.send({
    what: `cannot read ${target.digest} of ${access.label}`,
    method: 'GET',
    path: contentPath(target),
    actions: 'pull',
    headers: {
      ...acceptOf(target),
      ...(isWhole ? {} : { range: `bytes=${span.start}-${span.end - 1}` }),
    },
    expect: isWhole ? [200] : [200, 206],
    signal,
  });
  try {
    return response.status === 206 ? partOf(response, target, span) : wholeOf(response, target, span);
  } catch (error) {
    response.body.destroy();
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

function contentPath(target: Descriptor): string {
  return `${isManifest(target.mediaType) ? 'manifests' : 'blobs'}/${target.digest}`;
}

/** Without it a registry may turn a manifest into another type. */
function acceptOf(target: Descriptor): Record<string, string> {
  return isManifest(target.mediaType) ? { accept: target.mediaType } : {};
}

function wholeOf(response: HttpResponse, target: Descriptor, span: Span): ContentStream {
  const { contentLength, what } = response;
  if (contentLength !== undefined && contentLength !== target.size) {
    throw new EdgeBundleError(
      'SIZE_MISMATCH',
      `${what}: expected ${target.size} bytes, ${response.url.host} says it has ${contentLength}`,
    );
  }
  return new ContentStream(response, {
    skipBytes: span.start,
    lengthBytes: span.end - span.start,
    isCut: span.end < target.size,
  });
}

/** RFC 9110, section 14.4: what comes is what Content-Range says, whatever was asked for. */
function partOf(response: HttpResponse, target: Descriptor, span: Span): ContentStream {
  const text = response.header('content-range') ?? '';
  const { start, last, size } = /^bytes (?<start>\d+)-(?<last>\d+)\/(?<size>\d+|\*)$/.exec(text)?.groups ?? {};
  const isAsked = Number(start) === span.start && Number(last) === span.end - 1;
  if (!isAsked || (size !== '*' && Number(size) !== target.size)) {
    throw new EdgeBundleError(
      'REGISTRY_ERROR',
      `${response.what}: expected bytes ${span.start}-${span.end - 1}/${target.size}, ${response.url.host} sent '${text}'`,
    );
  }
  return new ContentStream(response, { skipBytes: 0, lengthBytes: span.end - span.start, isCut: false });
}
