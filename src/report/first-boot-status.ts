import * as z from 'zod';

import { type ErrorCode, exitCodes } from '../errors.ts';
import { checkSchema } from './preflight-check.ts';

const errorCodeSchema = z.enum(Object.keys(exitCodes) as [ErrorCode, ...ErrorCode[]]);
const count = z.int().nonnegative();
const time = z.iso.datetime().describe('ISO 8601, in UTC');

const errorSchema = z.strictObject({
  code: errorCodeSchema.describe('See docs/errors.md'),
  message: z.string(),
  hint: z.string().optional(),
  failures: z
    .array(z.strictObject({ code: errorCodeSchema, message: z.string(), hint: z.string().optional() }))
    .describe('What it sums up: the first of them, where there are many'),
});

const bundleSchema = z.strictObject({
  path: z.string().describe('The file; of parts the name before _part00'),
  medium: z.string(),
  id: z.string().optional().describe('Absent where the bundle cannot be read'),
  name: z.string().optional(),
  baseId: z.string().optional().describe('Of a delta: the bundle that it builds on'),
  state: z
    .enum(['found', 'checking', 'waiting', 'loading', 'verifying', 'loaded', 'already-loaded', 'failed'])
    .describe('loaded and already-loaded are good ends, failed is a bad one'),
  doneBytes: count.describe('Of its content, sent or found in the registry'),
  totalBytes: count,
  images: count,
  charts: count,
  startedAt: time.optional(),
  finishedAt: time.optional(),
  error: errorSchema.optional(),
});

/** `status.json`: how far first-boot is. Readers must be ready for members that they do not know. */
export const firstBootStatusSchema = z.strictObject({
  formatVersion: z.literal(1),
  state: z
    .enum([
      'starting',
      'waiting-for-content',
      'waiting-for-registry',
      'checking',
      'loading',
      'done',
      'failed',
      'stopped',
    ])
    .describe('done, failed and stopped are ends: of this run; systemd starts another one after a failure'),
  line: z.string().describe('The same for people: what stands on the console'),
  registry: z.string(),
  project: z.string(),
  packsProject: z.string(),
  attempts: count.describe('How often it was started since this file was made, this time included'),
  startedAt: time,
  updatedAt: time,
  finishedAt: time.optional(),
  exitCode: z.int().optional().describe('At the end'),
  waiting: z
    .strictObject({ for: z.enum(['content', 'registry']), since: time, reason: z.string() })
    .optional()
    .describe('While it waits'),
  bundles: z.array(bundleSchema).describe('In the order in which they are loaded'),
  skipped: z
    .array(z.strictObject({ path: z.string(), reason: z.string() }))
    .describe('Files that are no bundles of ours'),
  missing: z.array(z.string()).describe("Ids of 'require' that are neither loaded nor found"),
  problems: z.array(errorSchema).describe('Media that cannot be used, and what else stops nothing'),
  preflight: z.array(checkSchema).describe('What was checked before the first load'),
  error: errorSchema.optional().describe('Why it failed'),
});

export type FirstBootStatus = z.infer<typeof firstBootStatusSchema>;
export type BundleStatus = FirstBootStatus['bundles'][number];

/** JSON Schema (draft 2020-12) of the status file; `manifests/first-boot/status.schema.json` is this. */
export function firstBootStatusJsonSchema(): object {
  return {
    ...z.toJSONSchema(firstBootStatusSchema, { target: 'draft-2020-12' }),
    title: '/var/lib/edge-bundle/status.json: how far edge-bundle first-boot is',
  };
}
