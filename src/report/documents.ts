import { z } from 'zod';

const count = z.int().nonnegative();
const bytes = z.int().nonnegative();
const digest = z.string().regex(/^sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})$/);

const bundle = z.strictObject({
  path: z.string().describe('The file, or the first of its parts'),
  id: z
    .string()
    .regex(/^[0-9a-f]{16}$/)
    .describe('The first 16 hex digits of the digest of bundle.json'),
  bytes: bytes.describe('The size of the file, or of all its parts'),
});

const build = z.strictObject({
  bundle,
  images: count,
  blobs: count.describe('Blobs and manifests, each once'),
  bytes: z.strictObject({
    referenced: bytes.describe('What the images have, each taken by itself'),
    stored: bytes.describe('What is in the bundle: each blob once'),
    saved: bytes.describe('referenced less stored'),
  }),
});

const inspect = z.strictObject({
  bundle,
  images: z.array(
    z.strictObject({
      reference: z.string(),
      digest,
      mediaType: z.string(),
      bytes: bytes.describe('All that the image needs, shared blobs included'),
      packs: z.array(z.string()).describe('The packs, or profiles, that asked for it'),
    }),
  ),
  blobs: count.describe('Blobs and manifests, each once'),
});

const transfer = z.strictObject({
  images: count,
  blobs: z.strictObject({
    uploaded: count,
    mounted: count.describe('Made known to one more repository without an upload'),
    present: count.describe('There already'),
  }),
  missing: z.array(
    z.strictObject({
      kind: z.enum(['tag', 'manifest', 'blob']),
      repository: z.string(),
      digest,
      tag: z.string().optional(),
      found: digest.optional().describe('What the tag leads to instead'),
      references: z.array(z.string()).describe('The images that cannot be used without it'),
    }),
  ),
});

/** What commands write to stdout with `--output json`, by the command's name. */
export const documentSchemas = { build, inspect, load: transfer, verify: transfer } as const;

export type BuildDocument = z.infer<typeof build>;
export type InspectDocument = z.infer<typeof inspect>;
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
