import * as z from 'zod';

import { type Descriptor, digestSchema } from '../content/descriptor.ts';
import { type Digest, digestHex, digestOf } from '../content/digest.ts';
import { listOf } from '../content/list-schema.ts';
import { mediaTypes } from '../content/media-types.ts';
import { EdgeBundleError, type ErrorCode } from '../errors.ts';

const bundleFormatVersion = 1;

/** What a reader is ready to hold in memory as `bundle.json`, and many times what a thousand images need. */
export const maxDocumentBytes = 16 * 1024 * 1024;

const emptyList = 'an empty list is left out';

/** What a bundle's name has to be: it becomes part of a file's name. */
export const bundleNamePattern = /^(?=.{1,63}$)[a-z0-9]+(?:[._-][a-z0-9]+)*$/;

/** What a file of a bundle can be called: one name in a folder, of letters that mean nothing to a shell or a terminal. */
export const bundleFilePattern = /^(?!\.{1,2}$)(?!-)[A-Za-z0-9._@+~-]{1,128}$/;

/** What has a grammar elsewhere, all of it in ASCII: no spaces, no control characters. */
function token(maxLength: number): z.ZodString {
  return z
    .string()
    .max(maxLength)
    .regex(/^[!-~]+$/, { error: 'expected printable ASCII without spaces' });
}

/** What people read, as whoever wrote the profile has it: nothing that would drive a terminal, or turn the direction of text. */
const shownText = z
  .string()
  .max(4096)
  .regex(/^[^\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]*$/u, { error: 'it has control characters' });

/** Where a reference was found. `class` says how sure it is that the cluster asks for it. */
const sourceSchema = z.object({
  profile: shownText,
  pack: shownText.optional(),
  chart: shownText.optional(),
  path: shownText,
  class: z.enum(['declared', 'rendered', 'referenced', 'inferred']),
});

const named = {
  /** In normal form: `docker.io/library/nginx:1.27`. */
  reference: token(1024),
  digest: digestSchema,
  mediaType: token(255),
  /** Of the manifest or index itself, in bytes. */
  size: z.int().nonnegative(),
};

const contentSchema = z.object({
  ...named,
  /** Of the index that `digest` was cut down from; absent where it was not. */
  originalDigest: digestSchema.optional(),
  sources: listOf(sourceSchema),
});

const packaged = {
  kind: z.enum(['chart', 'pack']),
  name: token(255),
  version: token(128),
  ...named,
};

const chartSchema = z.object({ ...packaged, sources: listOf(sourceSchema) });

const attachmentSchema = z.object({
  ...named,
  /** The manifest that it belongs to. */
  subject: digestSchema,
});

const sized = {
  digest: digestSchema.refine((digest) => digest.startsWith('sha256:'), { error: 'expected a sha256 digest' }),
  size: z.int().nonnegative(),
};

const blobSchema = z.object({ ...sized, storage: z.enum(['stored', 'zstd']) });

const fileSchema = z.object({
  name: z.string().regex(bundleFilePattern),
  executable: z.boolean(),
  ...named,
  /** Of the file itself: the one layer of the manifest that `digest` names. */
  content: z.object(sized),
});

const baseSchema = z.object({
  name: z.string().regex(bundleNamePattern),
  /** Of the base's `bundle.json`. */
  digest: digestSchema.refine((digest) => digest.startsWith('sha256:'), { error: 'expected a sha256 digest' }),
  /** What the base, or a base of it, has, and this bundle has not: where the registry may have blobs of the base. */
  images: listOf(z.object(named)),
  charts: listOf(z.object(packaged)),
  attachments: listOf(attachmentSchema),
  /** What the images of this bundle need and only the base has. */
  blobs: uniqueListOf(z.object(sized), ({ digest }) => digest, 'a digest is listed twice'),
});

const membersSchema = z.object({
  formatVersion: z.literal(bundleFormatVersion),
  name: z.string().regex(bundleNamePattern),
  /** `linux/amd64`; empty where indexes were kept as they are. */
  platforms: listOf(token(255)),
  /** The time stamp of the file's entries, in seconds since 1970 (reproducible-builds.org, SOURCE_DATE_EPOCH). */
  sourceDateEpoch: z.int().nonnegative().max(0o77777777777),
  profiles: listOf(z.object({ name: shownText, version: shownText.optional(), digest: digestSchema })),
  images: listOf(contentSchema),
  charts: listOf(chartSchema),
  /** Signatures, attestations and SBOMs, each behind what it is about; absent where there are none. */
  attachments: listOf(attachmentSchema).refine(isFilled, { error: emptyList }).optional(),
  /** Files for whoever takes them out, as OCI artifacts; absent where there are none. */
  files: uniqueListOf(fileSchema, ({ name }) => name, 'a name is given twice')
    .refine(isFilled, { error: emptyList })
    .optional(),
  /** What a delta builds on; absent where the bundle is complete by itself. */
  base: baseSchema.optional(),
  /** All blobs and manifests, each once, in the order of the file's entries. */
  blobs: uniqueListOf(blobSchema, ({ digest }) => digest, 'a digest is listed twice'),
});

const documentSchema = membersSchema.refine(
  ({ base, blobs }) => {
    const expected = new Set(base?.blobs.map(({ digest }) => digest));
    return !blobs.some(({ digest }) => expected.has(digest));
  },
  { path: ['base', 'blobs'], error: 'a blob that the bundle has itself is not expected from its base' },
);

const otherVersionSchema = z.object({ formatVersion: z.int().refine((version) => version !== bundleFormatVersion) });

/** `bundle.json`: what the bundle carries (docs/bundle-format.md). */
export type BundleDocument = z.infer<typeof documentSchema>;
/** An image or chart of a bundle, with the places that asked for it. */
export type BundleContent = z.infer<typeof contentSchema>;
/** A Helm chart, or the archive of a pack: an OCI artifact. */
export type BundleChart = z.infer<typeof chartSchema>;
/** What belongs to an image or chart: a signature, an attestation, an SBOM. */
export type BundleAttachment = z.infer<typeof attachmentSchema>;
/** A file for whoever takes it out of the bundle: no registry gets it. */
export type BundleFile = z.infer<typeof fileSchema>;
/** What a delta builds on. */
export type BundleBase = z.infer<typeof baseSchema>;
/** Anything in a bundle that has a name. */
export type NamedContent = Pick<BundleContent, keyof typeof named>;
export type ContentSource = z.infer<typeof sourceSchema>;
/** A blob or manifest of a bundle. `stored` is raw; `zstd` is compressed. */
export type BundleBlob = z.infer<typeof blobSchema>;

/**
 * The bytes of `bundle.json`: compact JSON, members in the schema's order, so that equal documents are equal bytes.
 *
 * @throws EdgeBundleError FAILED where `document` is not what its type says, UNSUPPORTED where it is larger than a reader takes
 */
export function encodeBundleDocument(document: BundleDocument): Buffer {
  const bytes = canonicalBytes(parseAs('FAILED', document));
  if (bytes.byteLength <= maxDocumentBytes) return bytes;
  throw new EdgeBundleError(
    'UNSUPPORTED',
    `bundle.json would have ${bytes.byteLength} bytes; at most ${maxDocumentBytes} can be read`,
    { hint: 'Carry the images in several bundles.' },
  );
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
  const other = otherVersionSchema.safeParse(json);
  if (other.success) {
    throw new EdgeBundleError('UNSUPPORTED', `the bundle has format version ${other.data.formatVersion}; 1 is known`, {
      hint: 'Read it with the version of edge-bundle that made it, or a newer one.',
    });
  }
  const document = parseAs('BUNDLE_INVALID', json);
  if (!canonicalBytes(document).equals(bytes)) {
    throw new EdgeBundleError('BUNDLE_INVALID', 'bundle.json is not in the one form that its content has', {
      hint: 'It was changed after the build, or a newer version of edge-bundle made it.',
    });
  }
  return document;
}

/** What names a bundle: the digest of `bundle.json`, and its first 16 hex digits for file names. */
export interface BundleIdentity {
  readonly id: string;
  readonly digest: Digest;
}

export function bundleIdentity(documentBytes: Uint8Array): BundleIdentity {
  const digest = digestOf(documentBytes);
  return { id: bundleId(digest), digest };
}

/** What a bundle is called in the names of files. @param digest of its `bundle.json` */
export function bundleId(digest: Digest): string {
  return digestHex(digest).slice(0, 16);
}

/** The descriptor of a blob: a bundle does not know its media type. */
export function blobDescriptor({ digest, size }: { readonly digest: Digest; readonly size: number }): Descriptor {
  return { mediaType: mediaTypes.octetStream, digest, size };
}

/** All that has a name: images, charts, what belongs to them, and files. */
export function namedContents({
  images,
  charts,
  attachments = [],
  files = [],
}: BundleDocument): readonly NamedContent[] {
  return [...images, ...charts, ...attachments, ...files];
}

/** The descriptor of an image, chart or attachment. */
export function contentDescriptor(content: NamedContent): Descriptor {
  return { mediaType: content.mediaType, digest: content.digest, size: content.size };
}

/** An array in which no two elements have one key. */
function uniqueListOf<T>(element: z.ZodType<T>, keyOf: (element: T) => string, error: string): z.ZodType<T[]> {
  return listOf(element).refine((elements) => new Set(elements.map(keyOf)).size === elements.length, { error });
}

function isFilled(elements: readonly unknown[]): boolean {
  return elements.length > 0;
}

function parseAs(code: ErrorCode, document: unknown): BundleDocument {
  const result = documentSchema.safeParse(document);
  if (result.success) return result.data;
  const { message, path } = firstIssue(result.error);
  throw new EdgeBundleError(code, `bundle.json is malformed at '${path.join('.')}': ${message}`);
}

function firstIssue({ issues: [issue] }: z.ZodError): {
  readonly message: string;
  readonly path: readonly PropertyKey[];
} {
  return issue ?? { message: 'unknown', path: [] };
}

function canonicalBytes(document: BundleDocument): Buffer {
  return Buffer.from(JSON.stringify(document), 'utf8');
}
