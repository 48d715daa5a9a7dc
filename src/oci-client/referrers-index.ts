import * as z from 'zod';

import { type Descriptor, descriptorSchema } from '../content/descriptor.ts';
import { digestAlgorithm, digestHex } from '../content/digest.ts';
import { ensureUnambiguous } from '../content/json-text.ts';
import { listOf } from '../content/list-schema.ts';
import type { Manifest } from '../content/manifest.ts';
import { manifestAccept, mediaTypes } from '../content/media-types.ts';
import type { OperationOptions, ReferrersOptions } from '../content/store.ts';
import { maxManifestBytes } from '../content/verify.ts';
import { EdgeBundleError, isEdgeBundleError } from '../errors.ts';
import { readPages } from './pages.ts';
import { manifestName, putManifest } from './put-manifest.ts';
import type { RepositoryAccess } from './repository-access.ts';

/** A manifest that refers to another one. */
export interface Referrer {
  readonly subject: Descriptor;
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
}

const referrersSchema = z.object({ manifests: listOf(descriptorSchema) });

/** Kept with all members: it is written back. */
const fallbackSchema = z.looseObject({
  schemaVersion: z.literal(2),
  mediaType: z.literal(mediaTypes.ociIndex).optional(),
  manifests: listOf(z.looseObject({ digest: z.string() })),
});

type Fallback = z.infer<typeof fallbackSchema>;

/**
 * What refers to the manifests of one repository: the registry's referrers API and, where it has none, an index under a
 * fallback tag that clients keep (OCI distribution-spec v1.1, "Listing Referrers" and "Unavailable Referrers API").
 */
export class ReferrersIndex {
  readonly #access: RepositoryAccess;
  #lastChange: Promise<unknown> = Promise.resolve();
  #hasApi = true;
  /** The first question tells whether there is such an API: the others wait for its answer. */
  #firstAnswer: Promise<unknown> | undefined;

  constructor(access: RepositoryAccess) {
    this.#access = access;
  }

  async list(subject: Descriptor, options: ReferrersOptions = {}): Promise<readonly Descriptor[]> {
    if (this.#firstAnswer !== undefined) await this.#firstAnswer;
    const listed = this.#hasApi ? await this.#askFirst(subject, options) : undefined;
    if (listed !== undefined) return listed;
    const tag = fallbackTag(subject);
    if (options.knownTags?.has(tag) === false) return [];
    const fallback = await this.#read(tag, options);
    return fallback === undefined ? [] : this.#parse(referrersSchema, fallback, tag).manifests;
  }

  /** Adds `referrer` to the index under the fallback tag; one change at a time, for each rewrites the whole. */
  async add(referrer: Referrer, options: OperationOptions = {}): Promise<void> {
    const change = this.#lastChange.then(() => this.#add(referrer, options));
    this.#lastChange = change.catch(() => undefined);
    return change;
  }

  #askFirst(subject: Descriptor, options: OperationOptions): Promise<readonly Descriptor[] | undefined> {
    const answer = this.#ask(subject, options);
    this.#firstAnswer ??= answer.catch(() => undefined);
    return answer;
  }

  /** Undefined where the registry has no such API for this repository; then it is not asked again. */
  async #ask(subject: Descriptor, options: OperationOptions): Promise<readonly Descriptor[] | undefined> {
    try {
      const pages = await readPages(this.#access, {
        what: `cannot list the referrers of ${manifestName(this.#access, subject.digest)}`,
        path: `referrers/${subject.digest}`,
        accept: mediaTypes.ociIndex,
        schema: referrersSchema,
        signal: options.signal,
      });
      return pages.flatMap((page) => page.manifests);
    } catch (error) {
      if (!isEdgeBundleError(error, 'NOT_FOUND')) throw error;
      this.#hasApi = false;
      return undefined;
    }
  }

  async #add(referrer: Referrer, options: OperationOptions): Promise<void> {
    const tag = fallbackTag(referrer.subject);
    const current = (await this.#read(tag, options)) ?? emptyIndex;
    const entry = entryOf(referrer);
    if (current.manifests.some(({ digest }) => digest === entry.digest)) return;
    const next = { ...current, manifests: [...current.manifests, entry] };
    const bytes = Buffer.from(JSON.stringify(next));
    await putManifest(this.#access, tag, { bytes, mediaType: mediaTypes.ociIndex, signal: options.signal });
  }

  async #read(tag: string, options: OperationOptions): Promise<Fallback | undefined> {
    const response = await this.#access.send({
      what: `cannot read the referrers in ${manifestName(this.#access, tag)}`,
      method: 'GET',
      path: `manifests/${tag}`,
      actions: 'pull',
      // All kinds: another kind than an index must be seen, and not be taken for nothing.
      headers: { accept: manifestAccept.join(', ') },
      expect: [200, 404],
      signal: options.signal,
    });
    const bytes = await response.read(maxManifestBytes);
    if (response.status === 404) return undefined;
    ensureUnambiguous(bytes.toString('utf8'), manifestName(this.#access, tag));
    return this.#parse(fallbackSchema, parseJson(bytes), tag);
  }

  #parse<T>(schema: z.ZodType<T>, json: unknown, tag: string): T {
    const result = schema.safeParse(json);
    if (result.success) return result.data;
    throw new EdgeBundleError(
      'CONTENT_INVALID',
      `${manifestName(this.#access, tag)} is not an index of referrers: ${result.error.issues[0]?.message ?? 'unknown'}`,
    );
  }
}

const emptyIndex: Fallback = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] };

/** OCI distribution-spec v1.1, "Referrers Tag Schema": at most 32 and 64 characters. */
function fallbackTag({ digest }: Descriptor): string {
  return `${digestAlgorithm(digest)}-${digestHex(digest).slice(0, 64)}`;
}

/** As the referrers API would list it: an image's type is that of its config where it names none itself. */
function entryOf({ descriptor, manifest }: Referrer): Descriptor {
  const { mediaType, digest, size } = descriptor;
  const { annotations } = manifest;
  const artifactType = manifest.artifactType ?? (manifest.kind === 'manifest' ? manifest.config.mediaType : undefined);
  return { mediaType, digest, size, artifactType, annotations };
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}
