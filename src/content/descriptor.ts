import * as z from 'zod';

import { type Digest, digestOf, isDigest } from './digest.ts';
import { listOf, recordOf } from './list-schema.ts';
import type { Platform } from './platform.ts';

/** What identifies content: OCI image-spec v1.1, descriptor.md. `size` is in bytes. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly artifactType?: string | undefined;
  readonly platform?: Platform | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly urls?: readonly string[] | undefined;
}

export const digestSchema = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value), {
  error: 'expected a digest, sha256:<64 hex digits> or sha512:<128 hex digits>',
});

export const platformSchema = z.object({
  architecture: z.string(),
  os: z.string(),
  variant: z.string().optional(),
});

/** Members that this version does not know are dropped: a descriptor is read, never written back. */
export const descriptorSchema = z.object({
  mediaType: z.string().min(1).max(255),
  digest: digestSchema,
  size: z.int().nonnegative(),
  artifactType: z.string().optional(),
  platform: platformSchema.optional(),
  annotations: recordOf(z.string()).optional(),
  urls: listOf(z.string()).optional(),
});

/** The descriptor of `bytes`. */
export function describe(bytes: Uint8Array, mediaType: string): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.byteLength };
}
