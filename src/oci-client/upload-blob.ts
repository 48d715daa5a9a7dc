import type { Readable } from 'node:stream';

import type { Descriptor } from '../content/descriptor.ts';
import type { OperationOptions } from '../content/store.ts';
import type { RepositoryAccess } from './repository-access.ts';
import type { Attempts } from './retry-policy.ts';
import { uploadRequest, UploadSession } from './upload-session.ts';
import { UploadSource } from './upload-source.ts';

export interface UploadOptions extends OperationOptions {
  /** Parts of this size, in bytes, are sent, and then an empty PUT. Default: one PUT with everything. */
  readonly chunkBytes?: number | undefined;
  /** Of the upload as a whole, where it is tried again. */
  readonly attempts?: Attempts | undefined;
  /** Where an upload that was interrupted goes on. What the registry does not know any more is begun anew. */
  readonly location?: string | undefined;
  /** Is told where an upload can go on, and awaited, before its first byte is sent. */
  readonly onLocation?: ((location: string) => Promise<void>) | undefined;
}

/**
 * Sends a blob: a POST, then one PUT, or PATCHes and an empty PUT (OCI distribution-spec v1.1, "Pushing blobs"). Never a
 * last part in the PUT: Harbor records a wrong size then.
 *
 * @throws EdgeBundleError SIZE_MISMATCH, DIGEST_MISMATCH, and those of `RepositoryAccess.send`
 */
export async function uploadBlob(
  access: RepositoryAccess,
  expected: Descriptor,
  content: Readable,
  options: UploadOptions = {},
): Promise<void> {
  const { chunkBytes, attempts, location, onLocation, signal } = options;
  const target = { access, blob: expected, attempts, signal };
  const resumed = location === undefined ? undefined : await UploadSession.resume(target, location);
  // The login is settled by this POST, which can be repeated: what follows sends a stream, once.
  const session = resumed ?? (await UploadSession.open(target));
  await onLocation?.(session.location);
  const source = new UploadSource(expected, content, { signal, rate: access.traffic.rate });
  try {
    if (session.startBytes === 0 && chunkBytes === undefined && expected.size > 0) {
      await session.complete(source.part(expected.size));
      return;
    }
    await source.skip(session.startBytes);
    const step = Math.max(chunkBytes ?? expected.size, session.minChunkBytes);
    for (let start = session.startBytes; start < expected.size; start += step) {
      const end = Math.min(start + step, expected.size);
      await session.append(source.part(end - start), { start, end });
    }
    await source.finish();
    await session.complete();
  } catch (error) {
    if (source.failure === undefined || signal?.aborted === true) throw error;
    await session.cancel();
    throw source.failure;
  }
}

/**
 * Makes a blob of another repository of the same registry one of this (OCI distribution-spec v1.1, "Mounting a blob
 * from another repository"). False where the registry does not: for want of the blob, of a right, or of the feature.
 */
export async function mountBlob(
  access: RepositoryAccess,
  blob: Descriptor,
  from: string,
  options: OperationOptions = {},
): Promise<boolean> {
  const target = { access, blob, signal: options.signal };
  const query = new URLSearchParams({ mount: blob.digest, from });
  const response = await access.send({
    ...uploadRequest(target),
    what: `cannot mount ${blob.digest} from ${from} in ${access.label}`,
    method: 'POST',
    path: `blobs/uploads/?${query.toString()}`,
    from,
    expect: [201, 202, 401, 403, 404, 405],
  });
  await response.discard();
  if (response.status === 202) await new UploadSession(target, response).cancel();
  return response.status === 201;
}
