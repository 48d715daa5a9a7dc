import * as z from 'zod';

export const count = z.int().nonnegative();

export const bytes = z.int().nonnegative();

export const digest = z.string().regex(/^sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})$/);

export const blobTotal = z.strictObject({ blobs: count, bytes });

export const id = z
  .string()
  .regex(/^[0-9a-f]{16}$/)
  .describe('The first 16 hex digits of the digest of bundle.json');

export const bundle = z.strictObject({
  path: z.string().describe('The file, or the first of its parts'),
  id,
  bytes: bytes.describe('The size of the file, or of all its parts'),
});

export const namespaces = z.array(z.string()).describe('Where its pods run, as far as is known');

export const base = z
  .strictObject({
    name: z.string(),
    id,
    digest,
    blobs: count.describe('Configs and layers that the bundle needs and leaves to its base'),
    bytes: bytes.describe('Of these'),
  })
  .describe('What a delta builds on');

export const signatures = z
  .array(
    z.strictObject({
      algorithm: z.enum(['rsa-pkcs1-sha256', 'ecdsa-p256-sha256', 'ed25519']),
      keyId: digest.describe("SHA-256 of the public key's SubjectPublicKeyInfo in DER"),
    }),
  )
  .describe('That the bundle has; whether they are good is for --public-key to say');

/** A chart or a pack. */
export const chart = z.strictObject({
  kind: z.enum(['chart', 'pack']),
  name: z.string(),
  version: z.string(),
  reference: z.string(),
});
