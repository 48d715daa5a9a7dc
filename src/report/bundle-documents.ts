import * as z from 'zod';

import { base, blobTotal, bundle, bytes, chart, count, digest, id, namespaces, signatures } from './document-fields.ts';

export const sign = z.strictObject({
  path: bundle.shape.path,
  id: bundle.shape.id,
  signatures,
  changed: z.boolean().describe('False where all were there already'),
});

export const build = z.strictObject({
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

export const inspect = z.strictObject({
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
  charts: z.array(chart.extend({ digest, bytes })),
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

export const diff = z.strictObject({
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

export const merge = z.strictObject({
  bundle,
  images: count,
  charts: count.describe('Charts and packs'),
  blobs: count.describe('Blobs and manifests, each once'),
});

export const extract = z.strictObject({
  files: z.array(z.strictObject({ name: z.string(), path: z.string(), bytes, executable: z.boolean() })),
});
