import type { Readable } from 'node:stream';

import type { Descriptor } from '../content/descriptor.ts';
import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError, isEdgeBundleError } from '../errors.ts';
import type { HttpResponse } from './http-response.ts';
import type { RepositoryAccess } from './repository-access.ts';
import { UploadSource } from './upload-source.ts';

export interface UploadOptions extends OperationOptions {
  /** Parts of this size, in bytes, are sent, and then an empty PUT. Default: one PUT with everything. */
  readonly chunkBytes?: number | undefined;
}

/** A registry moves, and some read again, the whole blob before they answer: this many bytes in a millisecond, at least. */
const commitBytesPerMs = 100_000;

/**
 * Sends a blob: a POST, then one PUT, or PATCHes and an empty PUT (OCI distribution-spec v1.1, "Pushing a blob in
 * chunks"). Never a last part in the PUT: Harbor records a wrong size then. `content` is consumed or destroyed.
 *
 * @throws EdgeBundleError SIZE_MISMATCH, DIGEST_MISMATCH, and those of `RepositoryAccess.send`
 */
export async function uploadBlob(
  access: RepositoryAccess,
  expected: Descriptor,
  content: Readable,
  options: UploadOptions = {},
): Promise<void> {
  const upload = new Upload(access, expected, options.signal);
  const source = new UploadSource(expected, content, options.signal);
  try {
    // The login is settled here, by a request that can be repeated: what follows sends a stream, once.
    const chunkBytes = await upload.start(options.chunkBytes);
    if (chunkBytes === undefined && expected.size > 0) {
      await upload.complete(source.part(expected.size));
    } else {
      for (let start = 0; chunkBytes !== undefined && start < expected.size; start += chunkBytes) {
        const end = Math.min(start + chunkBytes, expected.size);
        await upload.append(source.part(end - start), { start, end });
      }
      await source.finish();
      await upload.complete();
    }
  } catch (error) {
    if (source.failure === undefined || options.signal?.aborted === true) throw error;
    await upload.cancel();
    throw source.failure;
  } finally {
    content.destroy();
  }
}

/**
 * Makes a blob of another repository of the same registry one of this (OCI distribution-spec v1.1, "Mounting a blob
 * from another repository"). False where the registry does not: for want of the blob, of a right, or of the feature.
 */
export async function mountBlob(
  access: RepositoryAccess,
  target: Descriptor,
  from: string,
  options: OperationOptions = {},
): Promise<boolean> {
  const upload = new Upload(access, target, options.signal);
  return upload.mount(from);
}

/** An upload session of a registry: where it is changes with each answer. */
class Upload {
  readonly #access: RepositoryAccess;
  readonly #target: Descriptor;
  readonly #signal: AbortSignal | undefined;
  #location: URL | undefined;

  constructor(access: RepositoryAccess, target: Descriptor, signal: AbortSignal | undefined) {
    this.#access = access;
    this.#target = target;
    this.#signal = signal;
  }

  /** Opens the session. Returns the size of the parts: never less than the registry asks for. */
  async start(chunkBytes: number | undefined): Promise<number | undefined> {
    const response = await this.#access.send({ ...this.#request('POST'), path: 'blobs/uploads/', expect: [202] });
    await this.#moveOn(response);
    const minimum = Number(response.header('oci-chunk-min-length') ?? 0);
    return chunkBytes === undefined || !(minimum > chunkBytes) ? chunkBytes : minimum;
  }

  async append(body: Readable, { start, end }: { start: number; end: number }): Promise<void> {
    const response = await this.#access.send({
      ...this.#request('PATCH'),
      path: this.#place(),
      headers: {
        'content-type': 'application/octet-stream',
        'content-length': `${end - start}`,
        'content-range': `${start}-${end - 1}`,
      },
      body,
      expect: [202],
    });
    await this.#moveOn(response);
  }

  async complete(body?: Readable): Promise<void> {
    const url = new URL(this.#place());
    // Not by searchParams: it would write what the registry put there in another way.
    url.search = `${url.search === '' ? '?' : `${url.search}&`}digest=${encodeURIComponent(this.#target.digest)}`;
    const response = await this.#access.send({
      ...this.#request('PUT'),
      path: url,
      headers: {
        'content-type': 'application/octet-stream',
        'content-length': `${body === undefined ? 0 : this.#target.size}`,
      },
      body,
      extraAnswerMs: this.#target.size / commitBytesPerMs,
      expect: [201, 204],
    });
    await response.discard();
  }

  async mount(from: string): Promise<boolean> {
    const query = new URLSearchParams({ mount: this.#target.digest, from });
    const response = await this.#access.send({
      ...this.#request('POST'),
      what: `cannot mount ${this.#target.digest} from ${from} in ${this.#access.label}`,
      path: `blobs/uploads/?${query.toString()}`,
      from,
      expect: [201, 202, 401, 403, 404, 405],
    });
    if (response.status === 202) {
      await this.#moveOn(response);
      await this.cancel();
    } else {
      await response.discard();
    }
    return response.status === 201;
  }

  /** Where possible: a registry also forgets sessions by itself. */
  async cancel(): Promise<void> {
    try {
      const response = await this.#access.send({
        ...this.#request('DELETE'),
        path: this.#place(),
        actions: 'pull,push,delete',
        expect: [204],
      });
      await response.discard();
    } catch (error) {
      if (!isEdgeBundleError(error)) throw error;
    }
  }

  #request(method: 'POST' | 'PATCH' | 'PUT' | 'DELETE') {
    const what = `cannot push ${this.#target.digest} to ${this.#access.label}`;
    return { what, method, actions: 'pull,push', signal: this.#signal } as const;
  }

  #place(): URL {
    if (this.#location !== undefined) return this.#location;
    throw new EdgeBundleError('REGISTRY_ERROR', `${this.#request('PUT').what}: the upload has not begun`);
  }

  async #moveOn(response: HttpResponse): Promise<void> {
    await response.discard();
    const location = response.header('location');
    if (location === undefined || !URL.canParse(location, response.url.href)) {
      throw new EdgeBundleError(
        'REGISTRY_ERROR',
        `${response.what}: ${response.url.host} gave no Location to go on at`,
      );
    }
    this.#location = new URL(location, response.url);
  }
}
