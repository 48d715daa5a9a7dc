import { z } from 'zod';

import { firstBootStatusSchema } from './first-boot-status.ts';
import { checkSchema } from './preflight-check.ts';

const count = z.int().nonnegative();
const bytes = z.int().nonnegative();
const digest = z.string().regex(/^sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})$/);

const blobTotal = z.strictObject({ blobs: count, bytes });

const imageClass = z.enum(['rendered', 'declared', 'referenced', 'inferred']);

const id = z
  .string()
  .regex(/^[0-9a-f]{16}$/)
  .describe('The first 16 hex digits of the digest of bundle.json');

const bundle = z.strictObject({
  path: z.string().describe('The file, or the first of its parts'),
  id,
  bytes: bytes.describe('The size of the file, or of all its parts'),
});

const namespaces = z.array(z.string()).describe('Where its pods run, as far as is known');
const base = z
  .strictObject({
    name: z.string(),
    id,
    digest,
    blobs: count.describe('Configs and layers that the bundle needs and leaves to its base'),
    bytes: bytes.describe('Of these'),
  })
  .describe('What a delta builds on');

const signatures = z
  .array(
    z.strictObject({
      algorithm: z.enum(['rsa-pkcs1-sha256', 'ecdsa-p256-sha256', 'ed25519']),
      keyId: digest.describe("SHA-256 of the public key's SubjectPublicKeyInfo in DER"),
    }),
  )
  .describe('That the bundle has; whether they are good is for --public-key to say');

const sign = z.strictObject({
  path: bundle.shape.path,
  id: bundle.shape.id,
  signatures,
  changed: z.boolean().describe('False where all were there already'),
});

const build = z.strictObject({
  bundle,
  signatures,
  images: count,
  charts: count.describe('Charts and packs'),
  attachments: count.describe('Signatures, attestations and SBOMs of these'),
  files: count.describe('Of --file'),
  blobs: count.describe('Blobs and manifests, each once'),
  base: base.optional(),
  bytes: z.strictObject({
    referenced: bytes.describe('What images, charts and files have, each taken by itself'),
    stored: bytes.describe('What is in the bundle: each blob once'),
    saved: bytes.describe('referenced less stored, and less what the base has'),
    downloaded: bytes.describe('Of blobs, by this run'),
    reused: z
      .strictObject({ bundles: bytes.describe('Of --existing-bundle'), cache: bytes.describe('Of --cache') })
      .describe('Not downloaded, because this machine had it'),
  }),
  missing: z
    .array(z.strictObject({ reference: z.string(), reason: z.string() }))
    .describe('Read from strings or concluded, not in their registries, and so not in the bundle'),
  excluded: z
    .array(z.strictObject({ reference: z.string(), pattern: z.string(), namespaces }))
    .describe('Left out by --exclude'),
  served: z
    .array(
      z.strictObject({
        host: z.string(),
        requests: count,
        bytes,
        failures: count.describe('How often another host was asked because this one had failed'),
        repositories: z.array(z.string()).describe('What came from there, as references call it'),
      }),
    )
    .describe('What came from which registry or mirror in this run'),
});

const inspect = z.strictObject({
  bundle,
  signatures,
  images: z.array(
    z.strictObject({
      reference: z.string(),
      digest,
      mediaType: z.string(),
      bytes: bytes.describe('All that the image needs, shared blobs included'),
      packs: z.array(z.string()).describe('The packs, or profiles, that asked for it'),
    }),
  ),
  charts: z.array(
    z.strictObject({
      kind: z.enum(['chart', 'pack']),
      name: z.string(),
      version: z.string(),
      reference: z.string(),
      digest,
      bytes,
    }),
  ),
  attachments: z
    .array(
      z.strictObject({
        reference: z.string(),
        digest,
        subject: digest.describe('The manifest that it belongs to'),
        bytes: bytes.describe('Without that'),
      }),
    )
    .describe('Signatures, attestations and SBOMs'),
  files: z.array(
    z.strictObject({ name: z.string(), digest: digest.describe('Of the file itself'), bytes, executable: z.boolean() }),
  ),
  blobs: count.describe('Blobs and manifests, each once'),
  base: base.optional(),
});

const content = z.strictObject({ name: z.string(), digest });
const contentDifference = z.strictObject({
  added: z.array(content),
  removed: z.array(content),
  moved: z
    .array(z.strictObject({ name: z.string(), from: digest, to: digest }))
    .describe('The same name, other content'),
  same: count,
});

const side = z.strictObject({ name: z.string(), id, digest });

const diff = z.strictObject({
  from: side,
  to: side,
  images: contentDifference.describe('By their references'),
  charts: contentDifference.describe('By kind, name and version'),
  attachments: contentDifference.describe('Signatures, attestations and SBOMs, by their references'),
  files: contentDifference.describe('By their names'),
  added: blobTotal.describe('Blobs and manifests that the first does not have'),
  shared: blobTotal,
  removed: blobTotal,
});

const merge = z.strictObject({
  bundle,
  images: count,
  charts: count.describe('Charts and packs'),
  blobs: count.describe('Blobs and manifests, each once'),
});

const extract = z.strictObject({
  files: z.array(z.strictObject({ name: z.string(), path: z.string(), bytes, executable: z.boolean() })),
});

const isoParts = z.strictObject({
  id: bundle.shape.id,
  bytes: bytes.describe('All parts together'),
  parts: z.array(z.string()).describe('Their paths, in order'),
  list: z.string().describe('The path of their list, with checksums'),
});

const madeIso = z.strictObject({
  iso: z.strictObject({ path: z.string(), bytes, label: z.string().describe("The volume's") }),
  bundles: z.array(
    z.strictObject({
      name: z.string().describe("Its file's"),
      id: bundle.shape.id,
      bytes: bundle.shape.bytes,
      parts: count,
    }),
  ),
});

const isoInspect = z.strictObject({
  iso: z.strictObject({
    path: z.string(),
    bytes,
    label: z.string().describe("The volume's"),
    files: count,
    bootRecords: z.array(z.string()).describe('The xorriso commands that make them; empty where it does not boot'),
  }),
  bundles: z.array(
    z.strictObject({
      path: z.string().describe('On the ISO, without _part00'),
      id: bundle.shape.id,
      name: z.string(),
      bytes: bundle.shape.bytes,
      parts: count,
      images: count,
      charts: count.describe('Charts and packs'),
      hasChecksums: z.boolean().describe('Whether its parts have checksums beside them'),
      signatures: z.array(digest).describe('The ids of the keys that signed it'),
      isVerified: z.boolean(),
    }),
  ),
  checksums: z
    .strictObject({ listed: count, verified: count })
    .optional()
    .describe('Of SHA256SUMS; absent where there is none'),
  problems: z.array(z.string()),
});

const transfer = z.strictObject({
  images: count,
  charts: count.describe('Charts and packs'),
  blobs: z.strictObject({
    uploaded: count,
    mounted: count.describe('Made known to one more repository without an upload'),
    present: count.describe('There already'),
  }),
  missing: z.array(
    z.strictObject({
      kind: z
        .enum(['tag', 'manifest', 'blob', 'referrer'])
        .describe('A referrer is there as a manifest, and not listed as what refers to another one'),
      repository: z.string(),
      digest,
      tag: z.string().optional(),
      found: digest.optional().describe('What the tag leads to instead'),
      damage: z.string().optional().describe('What is wrong with what is there, where it was read back'),
      references: z.array(z.string()).describe('The images that cannot be used without it'),
    }),
  ),
  base: base.optional(),
});

const source = z.strictObject({
  profile: z.string(),
  pack: z.string().optional(),
  chart: z.string().optional(),
  path: z.string().describe('The place in the profile, pack or rendered object'),
  class: imageClass,
  note: z.string().optional().describe('How the reference came about, where it is not written out at that place'),
});

const found = {
  reference: z.string().describe('In normal form'),
  spellings: z.array(z.string()).describe('As it is written'),
  classes: z.array(imageClass).describe('How sure it is that the cluster asks for it, the surest first'),
  sources: z.array(source),
};

const resolve = z.strictObject({
  images: z.array(z.strictObject({ ...found, digest: digest.optional().describe('Where it was checked or locked') })),
  charts: z.array(
    z.strictObject({
      kind: z.enum(['chart', 'pack']),
      name: z.string(),
      version: z.string(),
      reference: z.string(),
      sources: z.array(source),
    }),
  ),
  missing: z
    .array(z.strictObject({ ...found, reason: z.string() }))
    .describe('Read from strings or concluded, and not in their registries'),
  excluded: z.array(z.strictObject({ ...found, pattern: z.string().describe('Of --exclude'), namespaces })),
  unrendered: z
    .array(
      z.strictObject({
        profile: z.string(),
        pack: z.string().optional(),
        chart: z.string().optional(),
        reason: z.string(),
      }),
    )
    .describe('What could not be rendered: images that only it names may be missing'),
  packs: z.array(
    z.strictObject({
      profile: z.string(),
      pack: z.string().optional(),
      version: z.string().optional(),
      declared: count,
      rendered: count,
      referenced: count,
      inferred: count,
      undeclared: z.array(z.string()).describe("Rendered, and not among the pack's content tags"),
      missing: z.array(z.string()),
      unrendered: count,
    }),
  ),
  moved: z
    .array(z.strictObject({ reference: z.string(), locked: digest, found: digest }))
    .describe('Tags that lead to something else than the lock file says'),
  warnings: z.array(z.string()),
});

const why = resolve.pick({ images: true, missing: true, excluded: true });

const difference = z.strictObject({
  added: z.array(z.string()),
  removed: z.array(z.string()),
  changed: z.array(z.strictObject({ from: z.string(), to: z.string() })).describe('The same repository'),
});

const lint = z.strictObject({
  findings: z.array(
    z.strictObject({
      rule: z.string(),
      severity: z.enum(['error', 'warning', 'info']),
      profile: z.string(),
      pack: z.string().optional(),
      path: z.string().optional(),
      message: z.string(),
      change: z.string().describe('What to change'),
      patch: z.string().optional().describe('YAML that can be applied as it is'),
    }),
  ),
  errors: count,
  warnings: count,
  bytes: bytes.optional().describe('What a registry stores for all images; absent where they were not measured'),
});

const folder = z.string().describe('Where it is');

const cacheList = z.strictObject({
  folder,
  bytes: bytes.describe('All of it'),
  blobs: z
    .array(z.strictObject({ digest, bytes, lastUsed: z.string().describe('ISO 8601, in UTC') }))
    .describe('The longest unused first'),
});

const cachePrune = z.strictObject({ folder, removed: blobTotal, kept: blobTotal });

const cacheVerify = z.strictObject({
  folder,
  sound: blobTotal,
  damaged: z.array(z.strictObject({ digest, bytes })).describe('Removed'),
});

const mirrorConfig = z.strictObject({
  out: z.string(),
  files: z.array(z.string()).describe('Below out'),
  registries: z.array(z.string()).describe('Whose images the bundle has'),
  namespaces: z.array(z.string()).describe('That are labelled, because images of theirs were left out'),
});

const loaderPackage = z.strictObject({
  path: z.string(),
  archive: z.string().optional().describe('Where --archive asked for one'),
  version: z.string(),
  node: z.string().describe('The version of Node.js in it'),
  files: count,
  bytes: bytes.describe('Unpacked'),
  sha256: z.string().describe('Of its SHA256SUMS: the same for the same package'),
});

const preflight = z.strictObject({
  status: z.enum(['pass', 'warn', 'fail']).describe('The worst of the checks; fail is exit code 1'),
  checks: z.array(checkSchema),
});

/** What commands write to stdout with `--output json`, by the command's name. */
export const documentSchemas = {
  build,
  'cache ls': cacheList,
  'cache prune': cachePrune,
  'cache verify': cacheVerify,
  diff,
  extract,
  'first-boot': firstBootStatusSchema,
  inspect,
  'iso create': madeIso,
  'iso embed': madeIso,
  'iso inspect': isoInspect,
  'iso parts': isoParts,
  lint,
  load: transfer,
  'loader package': loaderPackage,
  'mirror-config': mirrorConfig,
  merge,
  preflight,
  resolve,
  'resolve --diff': difference,
  'resolve --why': why,
  sign,
  verify: transfer,
} as const;

export type BuildDocument = z.infer<typeof build>;
export type CacheListDocument = z.infer<typeof cacheList>;
export type CachePruneDocument = z.infer<typeof cachePrune>;
export type CacheVerifyDocument = z.infer<typeof cacheVerify>;
export type DiffDocument = z.infer<typeof diff>;
export type ExtractDocument = z.infer<typeof extract>;
export type InspectDocument = z.infer<typeof inspect>;
export type LoaderPackageDocument = z.infer<typeof loaderPackage>;
export type MirrorConfigDocument = z.infer<typeof mirrorConfig>;
/** Of `iso create` and of `iso embed`. */
export type MadeIsoDocument = z.infer<typeof madeIso>;
export type IsoInspectDocument = z.infer<typeof isoInspect>;
export type IsoPartsDocument = z.infer<typeof isoParts>;
export type LintDocument = z.infer<typeof lint>;
export type MergeDocument = z.infer<typeof merge>;
export type DifferenceDocument = z.infer<typeof difference>;
export type PreflightDocument = z.infer<typeof preflight>;
export type ResolveDocument = z.infer<typeof resolve>;
export type SignDocument = z.infer<typeof sign>;
export type WhyDocument = z.infer<typeof why>;
/** Of `load` and of `verify`. */
export type TransferDocument = z.infer<typeof transfer>;

/** JSON Schema (draft 2020-12) of all documents, under `$defs`; `docs/cli-output.schema.json` is this. */
export function documentsJsonSchema(): object {
  const definitions = Object.entries(documentSchemas).map(([name, schema]): [string, object] => [
    name,
    Object.fromEntries(Object.entries(z.toJSONSchema(schema)).filter(([key]) => key !== '$schema')),
  ]);
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'What edge-bundle writes to standard output with --output json, by command',
    $defs: Object.fromEntries(definitions),
  };
}
