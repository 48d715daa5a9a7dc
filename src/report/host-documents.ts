import * as z from 'zod';

import { base, bytes, count, digest } from './document-fields.ts';
import { checkSchema } from './preflight-check.ts';

export const transfer = z.strictObject({
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

export const mirrorConfig = z.strictObject({
  out: z.string(),
  files: z.array(z.string()).describe('Below out'),
  registries: z.array(z.string()).describe('Whose images the bundle has'),
  namespaces: z.array(z.string()).describe('That are labelled, because images of theirs were left out'),
});

export const loaderPackage = z.strictObject({
  path: z.string(),
  archive: z.string().optional().describe('Where --archive asked for one'),
  version: z.string(),
  node: z.string().describe('The version of Node.js in it'),
  files: count,
  bytes: bytes.describe('Unpacked'),
  sha256: z.string().describe('Of its SHA256SUMS: the same for the same package'),
});

export const preflight = z.strictObject({
  status: z.enum(['pass', 'warn', 'fail']).describe('The worst of the checks; fail is exit code 1'),
  checks: z.array(checkSchema),
});
