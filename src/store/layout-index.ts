import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import pLimit from 'p-limit';
import * as z from 'zod';

import { type Descriptor, descriptorSchema, platformSchema } from '../content/descriptor.ts';
import { ensureUnambiguous } from '../content/json-text.ts';
import { listOf } from '../content/list-schema.ts';
import { mediaTypes } from '../content/media-types.ts';
import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError, systemErrorCode } from '../errors.ts';
import { writeFileAtomic } from '../files/atomic-file.ts';
import { fileError } from '../files/file-error.ts';
import { withFileLock } from '../files/file-lock.ts';

/** Image-spec v1.1, annotations.md: the name under which `index.json` lists content. */
const nameAnnotation = 'org.opencontainers.image.ref.name';

/** Longer than the minute after which a lock's silent holder counts as dead. */
const lockWaitMs = 90_000;

// Members that this version does not know are kept: the file is written back, and other tools write it too.
const entrySchema = descriptorSchema.extend({ platform: platformSchema.loose().optional() }).loose();
const indexSchema = z.looseObject({ schemaVersion: z.literal(2), manifests: listOf(entrySchema) });

type IndexEntry = z.infer<typeof entrySchema>;
type IndexDocument = z.infer<typeof indexSchema>;

/** Content that `index.json` lists. Content may be listed under several names, and also without one. */
export interface LayoutEntry {
  readonly descriptor: Descriptor;
  /** The tag; undefined where the entry has none. */
  readonly name: string | undefined;
}

/** `index.json` of an OCI image layout (OCI image-spec v1.1, image-layout.md, "index.json file"). */
export class LayoutIndex {
  readonly #path: string;
  readonly #oneAtATime = pLimit(1);

  constructor(folder: string) {
    this.#path = join(folder, 'index.json');
  }

  /** Makes the file where it is missing. */
  async create(): Promise<void> {
    if ((await this.#read()) === undefined) await this.#update((document) => ({ ...document }));
  }

  async entries(): Promise<readonly LayoutEntry[]> {
    const document = await this.#read();
    return (document?.manifests ?? []).map((entry) => ({ descriptor: toDescriptor(entry), name: nameOf(entry) }));
  }

  /**
   * Lists `target` under `name`, and no other content under it; without a name, lists it where it is not listed so.
   *
   * @throws EdgeBundleError CONTENT_INVALID, LOCKED, NO_SPACE, FILE_FAILED, ABORTED
   */
  async add(target: Descriptor, name: string | undefined, options: OperationOptions = {}): Promise<void> {
    await this.#update((document) => {
      const isReplaced = (entry: IndexEntry): boolean =>
        name === undefined ? isUnnamed(entry, target) : nameOf(entry) === name;
      const replaced = document.manifests.find(isReplaced);
      if (replaced?.digest === target.digest && replaced.mediaType === target.mediaType) return document;
      const others = document.manifests.filter((entry) => !isReplaced(entry));
      return { ...document, manifests: [...others, toEntry(target, name)] };
    }, options);
  }

  async #update(change: (document: IndexDocument) => IndexDocument, { signal }: OperationOptions = {}): Promise<void> {
    await this.#oneAtATime(() =>
      withFileLock(`${this.#path}.lock`, { waitMs: lockWaitMs, signal }, async () => {
        const before = (await this.#read()) ?? { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] };
        const after = change(before);
        if (after !== before) await writeFileAtomic(this.#path, JSON.stringify(after));
      }),
    );
  }

  /** Undefined where there is no such file: the layout's maker was killed before it wrote it. */
  async #read(): Promise<IndexDocument | undefined> {
    let text: string;
    try {
      text = await readFile(this.#path, 'utf8');
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return undefined;
      throw fileError(error, `cannot read '${this.#path}'`);
    }
    return parseIndex(text, this.#path);
  }
}

/** @param path names the file in messages. @throws EdgeBundleError CONTENT_INVALID */
export function parseIndex(text: string, path: string): IndexDocument {
  ensureUnambiguous(text, `'${path}'`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new EdgeBundleError('CONTENT_INVALID', `'${path}' is not JSON`, { cause });
  }
  const result = indexSchema.safeParse(json);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new EdgeBundleError(
    'CONTENT_INVALID',
    `'${path}' is malformed at '${issue?.path.join('.') ?? ''}': ${issue?.message ?? 'unknown'}`,
  );
}

function nameOf(entry: IndexEntry): string | undefined {
  return entry.annotations?.[nameAnnotation];
}

function isUnnamed(entry: IndexEntry, target: Descriptor): boolean {
  return nameOf(entry) === undefined && entry.digest === target.digest;
}

/** Without the name: it belongs to the list, and not to the content. */
function toDescriptor(entry: IndexEntry): Descriptor {
  const { mediaType, digest, size, artifactType, platform } = entry;
  const annotations = Object.fromEntries(
    Object.entries(entry.annotations ?? {}).filter(([key]) => key !== nameAnnotation),
  );
  return {
    mediaType,
    digest,
    size,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(platform === undefined ? {} : { platform }),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
}

function toEntry(target: Descriptor, name: string | undefined): IndexEntry {
  const { mediaType, digest, size, artifactType, platform } = target;
  const annotations = { ...target.annotations, ...(name === undefined ? {} : { [nameAnnotation]: name }) };
  return {
    mediaType,
    digest,
    size,
    artifactType,
    platform: platform && { ...platform },
    annotations: Object.keys(annotations).length === 0 ? undefined : annotations,
  };
}
