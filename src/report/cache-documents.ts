import * as z from 'zod';

import { blobTotal, bytes, digest } from './document-fields.ts';

const folder = z.string().describe('Where it is');

export const cacheList = z.strictObject({
  folder,
  bytes: bytes.describe('All of it'),
  blobs: z
    .array(z.strictObject({ digest, bytes, lastUsed: z.string().describe('ISO 8601, in UTC') }))
    .describe('The longest unused first'),
});

export const cachePrune = z.strictObject({ folder, removed: blobTotal, kept: blobTotal });

export const cacheVerify = z.strictObject({
  folder,
  sound: blobTotal,
  damaged: z.array(z.strictObject({ digest, bytes })).describe('Removed'),
});
