import { Readable } from 'node:stream';

import type { Descriptor } from '../content/descriptor.ts';
import type { Digest } from '../content/digest.ts';
import { type Manifest, parseManifest, successors } from '../content/manifest.ts';
import { isManifest } from '../content/media-types.ts';
import type { ContentStore, Fetcher, Mounter, OperationOptions, PushOptions } from '../content/store.ts';
import { bytesOf, readContent, verified } from '../content/verify.ts';
import { isEdgeBundleError } from '../errors.ts';
import { answeredStatus } from '../oci-client/registry-error.ts';
import type { Repository } from '../oci-client/repository.ts';
import type { Attempts } from '../oci-client/retry-policy.ts';
import type { LoadJournal } from './load-journal.ts';
import type { Patience } from './patience.ts';
import { type ArtifactHost, digestAtTag, isInRepository } from './registry-questions.ts';

export interface LoadTargetOptions {
  readonly repository: Repository;
  /** Where content is read from, again where it has to be sent again. */
  readonly source: Fetcher;
  readonly journal: LoadJournal;
  readonly patience: Patience;
  readonly artifacts: ArtifactHost | undefined;
  /** See `LoadOptions`. */
  readonly touchAgainMs?: number | undefined;
}

/** Smaller ones are sent again as fast as they are asked for. */
const journalledBytes = 1024 * 1024;

/**
 * Harbor keeps a blob that nothing refers to for two hours after it was last asked for (`HEAD`) or sent. Well before that,
 * it is asked for again.
 */
const touchAgainMs = 10 * 60_000;

/**
 * A repository that a bundle is loaded into. What a Harbor does meanwhile is survived here: restarts, read-only mode, expired
 * tokens, garbage collection; so that whoever copies sees a store that works, or one that fails for good.
 */
export class LoadTarget implements ContentStore, Mounter {
  readonly repositoryName: string;
  readonly mountScope: string;
  readonly #repository: Repository;
  readonly #options: LoadTargetOptions;
  /** When the registry was last seen to have a blob, on the clock of performance.now(). */
  readonly #touchedMs = new Map<Digest, number>();

  constructor(options: LoadTargetOptions) {
    this.#options = options;
    this.#repository = options.repository;
    this.repositoryName = options.repository.repositoryName;
    this.mountScope = options.repository.mountScope;
  }

  fetch(target: Descriptor, options: OperationOptions = {}): Promise<Readable> {
    return this.#repository.fetch(target, options);
  }

  async exists(target: Descriptor, { signal }: OperationOptions = {}): Promise<boolean> {
    const { patience, artifacts } = this.#options;
    const isThere = await patience.attempt(() => isInRepository(this.#repository, target, { artifacts, signal }));
    if (isThere) this.#touch(target);
    return isThere;
  }

  async mount(target: Descriptor, from: string, { signal }: OperationOptions = {}): Promise<boolean> {
    const mount = (): Promise<boolean> => this.#repository.mount(target, from, { signal });
    const isMounted = await this.#options.patience.attempt(mount, { isStream: true });
    if (isMounted) this.#touch(target);
    return isMounted;
  }

  async push(expected: Descriptor, content: Readable, { signal, isAbsent = false }: PushOptions = {}): Promise<void> {
    content.on('error', () => undefined);
    try {
      if (!isAbsent && (await this.exists(expected, { signal }))) return;
      if (isManifest(expected.mediaType)) {
        const chunks: Buffer[] = [];
        for await (const chunk of verified(expected, bytesOf(content, signal))) chunks.push(chunk);
        await this.#pushManifest(expected, Buffer.concat(chunks), { signal });
      } else {
        await this.#pushBlob(expected, content, { signal });
      }
    } finally {
      content.destroy();
    }
  }

  /** Gives a manifest that is here a name. One that leads to it already is left alone: it may be immutable. */
  async tag(target: Descriptor, tag: string, { signal }: OperationOptions = {}): Promise<void> {
    const { patience, artifacts, source } = this.#options;
    await patience.attempt(async () => {
      const options = { artifacts, signal };
      if ((await digestAtTag(this.#repository, tag, options)) === target.digest) return;
      await this.#repository.putTag(target, await readContent(source, target, { signal }), tag, { signal });
    });
  }

  async #pushBlob(expected: Descriptor, content: Readable, { signal }: OperationOptions): Promise<void> {
    const { patience, source, journal } = this.#options;
    const { repositoryName: repository } = this;
    let given: Readable | undefined = content;
    let tried = 0;
    await patience.attempt(
      async (attempts) => {
        // The answer may have been lost, and not the blob.
        if (tried > 0 && (await this.#repository.exists(expected, { signal }))) return;
        tried += 1;
        const body = given ?? (await source.fetch(expected, { signal }));
        given = undefined;
        await this.#upload(expected, body, { attempts, signal });
      },
      { isStream: true },
    );
    await journal.uploadEnded(repository, expected.digest);
    this.#touch(expected);
  }

  async #upload(
    expected: Descriptor,
    body: Readable,
    { attempts, signal }: OperationOptions & { readonly attempts: Attempts },
  ): Promise<void> {
    const { source, journal } = this.#options;
    const { repositoryName: repository } = this;
    const { digest: blob } = expected;
    const location = journal.uploadOf(repository, blob);
    const begunAt: string[] = [];
    const onLocation = async (begun: string): Promise<void> => {
      begunAt.push(begun);
      if (expected.size >= journalledBytes) await journal.uploadBegan({ repository, blob, location: begun });
    };
    try {
      await this.#repository.upload(expected, body, { attempts, location, onLocation, signal });
    } catch (error) {
      const status = answeredStatus(error);
      // The token has ended between the request before and this one, whose body goes out once.
      const isLate = begunAt.length > 0 && status === 401;
      // What the registry had of an earlier upload does not go together with the rest.
      const isUnfit = location !== undefined && status === 400;
      if (!isLate && !isUnfit) throw error;
      await journal.uploadEnded(repository, blob);
      const again = await source.fetch(expected, { signal });
      await this.#repository.upload(expected, again, { attempts, onLocation, signal });
    }
  }

  async #pushManifest(expected: Descriptor, bytes: Buffer, { signal }: OperationOptions): Promise<void> {
    const { patience } = this.#options;
    const manifest = parseManifest(bytes, expected);
    const put = (): Promise<void> =>
      patience.attempt(async () => {
        await this.#touchAgain(manifest, { signal });
        await this.#repository.push(expected, readableOf(bytes), { signal, isAbsent: true });
      });
    try {
      await put();
    } catch (error) {
      if (!isForWantOfChildren(error)) throw error;
      await this.#restoreChildren(manifest, { signal });
      await put();
    }
  }

  /** What was seen long ago may be about to be collected: asking for it begins its time anew. */
  async #touchAgain(manifest: Manifest, { signal }: OperationOptions): Promise<void> {
    const { touchAgainMs: ms = touchAgainMs } = this.#options;
    const nowMs = performance.now();
    for (const child of successors(manifest)) {
      const touchedMs = this.#touchedMs.get(child.digest);
      if (touchedMs === undefined || nowMs - touchedMs < ms || isManifest(child.mediaType)) continue;
      if (await this.exists(child, { signal })) continue;
      await this.#pushBlob(child, await this.#options.source.fetch(child, { signal }), { signal });
    }
  }

  /**
   * What a manifest needs has vanished since it was seen or sent: untagged manifests have no time of grace in Harbor. Manifests
   * are sent again whether they seem to be there or not: the registry may have what Harbor does not know of.
   */
  async #restoreChildren(manifest: Manifest, { signal }: OperationOptions): Promise<void> {
    const { source } = this.#options;
    for (const child of successors(manifest)) {
      if (child === manifest.subject) continue;
      if (!isManifest(child.mediaType)) {
        if (await this.exists(child, { signal })) continue;
        await this.#pushBlob(child, await source.fetch(child, { signal }), { signal });
        continue;
      }
      const bytes = await readContent(source, child, { signal });
      await this.#restoreChildren(parseManifest(bytes, child), { signal });
      await this.#options.patience.attempt(() =>
        this.#repository.push(child, readableOf(bytes), { signal, isAbsent: true }),
      );
    }
  }

  #touch({ digest, mediaType }: Descriptor): void {
    if (!isManifest(mediaType)) this.#touchedMs.set(digest, performance.now());
  }
}

/** 400 MANIFEST_BLOB_UNKNOWN of the registry; 404 of Harbor, whose database does not know a child. */
function isForWantOfChildren(error: unknown): boolean {
  if (!isEdgeBundleError(error)) return false;
  const status = answeredStatus(error);
  return status === 404 || (status === 400 && /MANIFEST_BLOB_UNKNOWN|MANIFEST_UNKNOWN/.test(error.message));
}

function readableOf(bytes: Buffer): Readable {
  return Readable.from([bytes]);
}
