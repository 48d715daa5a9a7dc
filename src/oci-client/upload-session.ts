import type { Readable } from 'node:stream';

import type { Descriptor } from '../content/descriptor.ts';
import { EdgeBundleError, isEdgeBundleError } from '../errors.ts';
import type { HttpResponse } from './http-response.ts';
import type { RepositoryAccess } from './repository-access.ts';
import type { Attempts } from './retry-policy.ts';

/** What is uploaded, and where to. */
export interface UploadTarget {
  readonly access: RepositoryAccess;
  readonly blob: Descriptor;
  readonly attempts?: Attempts | undefined;
  readonly signal: AbortSignal | undefined;
}

/** A registry moves, and some read again, the whole blob before they answer: this many bytes in a millisecond, at least. */
const commitBytesPerMs = 100_000;

/** An upload that a registry has begun (OCI distribution-spec v1.1, "Pushing blobs"). Each answer says where to go on. */
export class UploadSession {
  /** The least that the registry takes as a part that is not the last one; in bytes. */
  readonly minChunkBytes: number;
  /** How much of the blob the registry had when the session was opened or found again; in bytes. */
  readonly startBytes: number;
  readonly #target: UploadTarget;
  #location: URL;

  /** @throws EdgeBundleError REGISTRY_ERROR where the answer to the POST has no Location */
  constructor(target: UploadTarget, response: HttpResponse, startBytes = 0) {
    this.#target = target;
    this.#location = locationOf(response);
    const { least } = /^(?<least>[0-9]{1,15})$/.exec(response.header('oci-chunk-min-length') ?? '')?.groups ?? {};
    this.minChunkBytes = Number(least ?? 0);
    this.startBytes = startBytes;
  }

  static async open(target: UploadTarget): Promise<UploadSession> {
    const response = await target.access.send({
      ...uploadRequest(target),
      method: 'POST',
      path: 'blobs/uploads/',
      // A session that nobody goes on with is forgotten.
      isRepeatable: true,
      expect: [202],
    });
    await response.discard();
    return new UploadSession(target, response);
  }

  /**
   * The session of an earlier upload, where the registry still has it and says how much came: a GET of its Location
   * (distribution-spec v1.1, "Pushing a blob in chunks"). One that cannot be gone on with is cancelled.
   */
  static async resume(target: UploadTarget, location: string): Promise<UploadSession | undefined> {
    if (!URL.canParse(location)) return undefined;
    const response = await target.access.send({
      ...uploadRequest(target),
      method: 'GET',
      path: new URL(location),
      expect: [204, 400, 401, 403, 404, 405, 416],
    });
    await response.discard();
    if (response.status !== 204) return undefined;
    const { end } = /^(?:bytes=)?0-(?<end>[0-9]{1,15})$/.exec(response.header('range') ?? '')?.groups ?? {};
    const session = new UploadSession(target, response, Number(end ?? 0) + 1);
    // `0-0` is what docker-registry also says of an empty one; and of one byte there is nothing to gain.
    const isUsable = session.startBytes > 1 && session.startBytes <= target.blob.size;
    if (isUsable) return session;
    await session.cancel();
    return undefined;
  }

  /** Where it goes on. */
  get location(): string {
    return this.#location.href;
  }

  /** Sends the bytes from `start` up to, but not including, `end`. */
  async append(body: Readable, { start, end }: { start: number; end: number }): Promise<void> {
    const response = await this.#target.access.send({
      ...uploadRequest(this.#target),
      method: 'PATCH',
      path: this.#location,
      headers: {
        'content-type': 'application/octet-stream',
        'content-length': `${end - start}`,
        'content-range': `${start}-${end - 1}`,
      },
      body,
      expect: [202],
    });
    await response.discard();
    this.#location = locationOf(response);
  }

  /** Makes what was sent, or else `body`, which is everything, a blob. */
  async complete(body?: Readable): Promise<void> {
    const { access, blob } = this.#target;
    const url = new URL(this.#location);
    // Not by searchParams: it would write what the registry put there in another way.
    url.search = `${url.search === '' ? '?' : `${url.search}&`}digest=${encodeURIComponent(blob.digest)}`;
    const response = await access.send({
      ...uploadRequest(this.#target),
      method: 'PUT',
      path: url,
      headers: {
        'content-type': 'application/octet-stream',
        'content-length': `${body === undefined ? 0 : blob.size}`,
      },
      body,
      extraAnswerMs: blob.size / commitBytesPerMs,
      expect: [201, 204],
    });
    await response.discard();
  }

  /** Where possible: a registry also forgets uploads by itself. */
  async cancel(): Promise<void> {
    await cancelUpload(this.#target, this.#location);
  }
}

/** Makes the registry forget an upload. One that it does not know, or does not let go, is left to it. */
export async function cancelUpload(target: UploadTarget, location: URL): Promise<void> {
  try {
    const response = await target.access.send({
      ...uploadRequest(target),
      method: 'DELETE',
      path: location,
      actions: 'pull,push,delete',
      expect: [204],
    });
    await response.discard();
  } catch (error) {
    if (!isEdgeBundleError(error)) throw error;
  }
}

/** What all requests of an upload have in common. */
export function uploadRequest({ access, blob, attempts, signal }: UploadTarget) {
  return { what: `cannot push ${blob.digest} to ${access.label}`, actions: 'pull,push', attempts, signal } as const;
}

function locationOf(response: HttpResponse): URL {
  const { url, what } = response;
  const location = response.header('location');
  if (location !== undefined && URL.canParse(location, url.href)) return new URL(location, url);
  throw new EdgeBundleError('REGISTRY_ERROR', `${what}: ${url.host} gave no Location to go on at`);
}
