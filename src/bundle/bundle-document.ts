import { z } from 'zod';

import { type Descriptor, digestSchema } from '../content/descriptor.ts';
import { type Digest, digestHex, digestOf } from '../content/digest.ts';
import { EdgeBundleError } from '../errors.ts';

export const bundleFormatVersion = 1;

/** What a bundle's name has to be: it becomes part of a file's name. */
export const bundleNamePattern = /^(?=.{1,63}$)[a-z0-9]+(?:[._-][a-z0-9]+)*$/;

/** Where a reference was found. `class` says how sure it is that the cluster asks for it. */
const sourceSchema = z.object({
  profile: z.string(),
  pack: z.string().optional(),
  chart: z.string().optional(),
  path: z.string(),
  class: z.enum(['declared', 'rendered', 'referenced', 'inferred']),
});

const contentSchema = z.object({
  /** In normal form: `docker.io/library/nginx:1.27`. */
  reference: z.string().min(1).max(1024),
  digest: digestSchema,
  mediaType: z.string().min(1).max(255),
  /** Of the manifest or index itself, in bytes. */
  size: z.int().nonnegative(),
  sources: z.array(sourceSchema),
});

const blobSchema = z.object({
  digest: digestSchema.refine((digest) => digest.startsWith('sha256:'), { error: 'expected a sha256 digest' }),
  size: z.int().nonnegative(),
  storage: z.enum(['stored', 'zstd']),
});

const documentSchema = z.object({
  formatVersion: z.literal(bundleFormatVersion),
  name: z.string().regex(bundleNamePattern),
  /** `linux/amd64`; empty where indexes were kept as they are. */
  platforms: z.array(z.string()),
  /** The time stamp of the file's entries, in seconds since 1970 (reproducible-builds.org, SOURCE_DATE_EPOCH). */
  sourceDateEpoch: z.int().nonnegative().max(0o77777777777),
  profiles: z.array(z.object({ name: z.string(), version: z.string().optional(), digest: digestSchema })),
  images: z.array(contentSchema),
  charts: z.array(contentSchema),
  /** All blobs and manifests, each once, in the order of the file's entries. */
  blobs: z.array(blobSchema).refine((blobs) => new Set(blobs.map(({ digest }) => digest)).size === blobs.length, {
    error: 'a digest is listed twice',
  }),
});

/** `bundle.json`: what the bundle carries (docs/bundle-format.md). */
export type BundleDocument = z.infer<typeof documentSchema>;
/** An image or chart of a bundle, with the places that asked for it. */
export type BundleContent = z.infer<typeof contentSchema>;
export type ContentSource = z.infer<typeof sourceSchema>;
/** A blob or manifest of a bundle. `stored` is raw; `zstd` is compressed. */
export type BundleBlob = z.infer<typeof blobSchema>;

/** The bytes of `bundle.json`: compact JSON, members in the schema's order, so that equal documents are equal bytes. */
export function encodeBundleDocument(document: BundleDocument): Buffer {
  return Buffer.from(JSON.stringify(documentSchema.parse(document)), 'utf8');
}

/**
 * @throws EdgeBundleError UNSUPPORTED for another format version; BUNDLE_INVALID with path and reason where it is
 *   malformed, has members that this version does not know, or is written in another way than `encodeBundleDocument` does
 */
export function decodeBundleDocument(bytes: Uint8Array): BundleDocument {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new EdgeBundleError('BUNDLE_INVALID', 'bundle.json is not JSON in UTF-8', { cause });
  }
  if (typeof json === 'object' && json !== null && 'formatVersion' in json && json.formatVersion !== 1) {
    throw new EdgeBundleError(
      'UNSUPPORTED',
      `the bundle has format version ${JSON.stringify(json.formatVersion)}; 1 is known`,
      {
        hint: 'Read it with the version of edge-bundle that made it, or a newer one.',
      },
    );
  }
  const result = documentSchema.safeParse(json);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw new EdgeBundleError(
      'BUNDLE_INVALID',
      `bundle.json is malformed at '${issue?.path.join('.') ?? ''}': ${issue?.message ?? 'unknown'}`,
    );
  }
  if (!encodeBundleDocument(result.data).equals(bytes)) {
    throw new EdgeBundleError('BUNDLE_INVALID', 'bundle.json is not in the one form that its content has', {
      hint: 'It was changed after the build, or a newer version of edge-bundle made it.',
    });
  }
  return result.data;
}

/** What names a bundle: the digest of `bundle.json`, and its first 16 hex digits for file names. */
export interface BundleIdentity {
  readonly id: string;
  readonly digest: Digest;
}

export function bundleIdentity(documentBytes: Uint8Array): BundleIdentity {
  const digest = digestOf(documentBytes);
  return { id: digestHex(digest).slice(0, 16), digest };
}

/** The descriptor of an image or chart. */
export function contentDescriptor(content: BundleContent): Descriptor {
  return { mediaType: content.mediaType, digest: content.digest, size: content.size };
}
