import * as z from 'zod';

import { bundle, bytes, count, digest } from './document-fields.ts';

export const isoParts = z.strictObject({
  id: bundle.shape.id,
  bytes: bytes.describe('All parts together'),
  parts: z.array(z.string()).describe('Their paths, in order'),
  list: z.string().describe('The path of their list, with checksums'),
});

export const madeIso = z.strictObject({
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

export const isoInspect = z.strictObject({
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
