import { Readable } from 'node:stream';

import type { Descriptor } from '../content/descriptor.ts';
import type { Digest } from '../content/digest.ts';
import { type Manifest, parseManifest } from '../content/manifest.ts';
import { isManifest } from '../content/media-types.ts';
import type {
  ContentStore,
  FetchOptions,
  OperationOptions,
  PushOptions,
  Referrers,
  Resolver,
  Tagger,
} from '../content/store.ts';
import { bytesOf, verified } from '../content/verify.ts';
import { abortedError, EdgeBundleError, throwIfAborted } from '../errors.ts';
import { rangeBounds } from './byte-range.ts';
import { describeReferrer, ensureManifestSize } from './manifests.ts';
import { tagName } from './tag-name.ts';

const chunkBytes = 256 * 1024;

interface StoredManifest {
  readonly descriptor: Descriptor;
  /** What it refers to, and how it is listed there. */
  readonly reference: { readonly subject: Digest; readonly referrer: Descriptor } | undefined;
}

/** Content in memory: for tests, and for what is made on the way and is small. */
export class MemoryStore implements ContentStore, Resolver, Tagger, Referrers {
  readonly #contents = new Map<Digest, Buffer>();
  readonly #manifests = new Map<Digest, StoredManifest>();
  readonly #tags = new Map<string, Descriptor>();

  exists(target: Descriptor, options: OperationOptions = {}): Promise<boolean> {
    return settle(options, () => this.#find(target) !== undefined);
  }

  /** @throws EdgeBundleError NOT_FOUND; FAILED where the range is not within the content */
  fetch(target: Descriptor, options: FetchOptions = {}): Promise<Readable> {
    return settle(options, () => {
      const { start, end } = rangeBounds(target, options.range);
      return streamOf(this.#get(target).subarray(start, end), options.signal);
    });
  }

  /**
   * @throws EdgeBundleError SIZE_MISMATCH, DIGEST_MISMATCH, TRANSFER_INCOMPLETE, ABORTED; CONTENT_INVALID for a malformed
   *   manifest, CONTENT_TOO_LARGE for one of more than 4 MiB
   */
  async push(expected: Descriptor, content: Readable, options: PushOptions = {}): Promise<void> {
    try {
      ensureManifestSize(expected);
      const bytes = this.#find(expected) ?? (await readAll(expected, content, options));
      const { mediaType, digest, size } = expected;
      if (isManifest(mediaType)) {
        const descriptor = { mediaType, digest, size };
        this.#manifests.set(digest, { descriptor, reference: referenceOf(descriptor, parseManifest(bytes, expected)) });
      }
      this.#contents.set(digest, bytes);
    } finally {
      content.destroy();
    }
  }

  /** @param reference a tag, or the digest of a manifest */
  resolve(reference: string, options: OperationOptions = {}): Promise<Descriptor> {
    return settle(options, () => {
      const found =
        this.#tags.get(reference) ??
        [...this.#manifests.values()].find(({ descriptor }) => descriptor.digest === reference)?.descriptor;
      if (found === undefined) throw notFound(`'${reference}'`);
      return found;
    });
  }

  /** @throws EdgeBundleError NOT_FOUND where the store does not have `target`, REFERENCE_INVALID */
  tag(target: Descriptor, reference: string, options: OperationOptions = {}): Promise<void> {
    return settle(options, () => {
      this.#get(target);
      const name = tagName(target, reference);
      if (name !== undefined) this.#tags.set(name, target);
    });
  }

  /** All tags, sorted. */
  tags(options: OperationOptions = {}): Promise<readonly string[]> {
    return settle(options, () => [...this.#tags.keys()].sort());
  }

  referrers(target: Descriptor, options: OperationOptions = {}): Promise<readonly Descriptor[]> {
    return settle(options, () =>
      [...this.#manifests.values()].flatMap(({ reference }) =>
        reference?.subject === target.digest ? [reference.referrer] : [],
      ),
    );
  }

  #find(target: Descriptor): Buffer | undefined {
    const bytes = this.#contents.get(target.digest);
    return bytes?.byteLength === target.size ? bytes : undefined;
  }

  #get(target: Descriptor): Buffer {
    const bytes = this.#find(target);
    if (bytes === undefined) throw notFound(`${target.digest} with ${target.size} bytes`);
    return bytes;
  }
}

function referenceOf(descriptor: Descriptor, manifest: Manifest): StoredManifest['reference'] {
  const { subject } = manifest;
  return subject && { subject: subject.digest, referrer: describeReferrer(descriptor, manifest) };
}

function settle<T>({ signal }: OperationOptions, task: () => T): Promise<T> {
  return new Promise((resolve) => {
    throwIfAborted(signal);
    resolve(task());
  });
}

function notFound(what: string): EdgeBundleError {
  return new EdgeBundleError('NOT_FOUND', `${what} is not in the memory store`);
}

async function readAll(expected: Descriptor, content: Readable, { signal }: OperationOptions): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of verified(expected, bytesOf(content, signal))) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function streamOf(bytes: Buffer, signal: AbortSignal | undefined): Readable {
  let at = 0;
  return new Readable({
    highWaterMark: chunkBytes,
    read() {
      if (signal?.aborted === true) {
        this.destroy(abortedError(signal));
        return;
      }
      const chunk = bytes.subarray(at, at + chunkBytes);
      at += chunk.byteLength;
      this.push(chunk.byteLength === 0 ? null : chunk);
    },
  });
}
