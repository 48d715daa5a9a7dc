import * as z from 'zod';

import { bytes, chart, count, digest, namespaces } from './document-fields.ts';

const imageClass = z.enum(['rendered', 'declared', 'referenced', 'inferred']);

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

export const resolve = z.strictObject({
  images: z.array(z.strictObject({ ...found, digest: digest.optional().describe('Where it was checked or locked') })),
  charts: z.array(chart.extend({ sources: z.array(source) })),
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

export const why = resolve.pick({ images: true, missing: true, excluded: true });

export const difference = z.strictObject({
  added: z.array(z.string()),
  removed: z.array(z.string()),
  changed: z.array(z.strictObject({ from: z.string(), to: z.string() })).describe('The same repository'),
});

export const lint = z.strictObject({
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
