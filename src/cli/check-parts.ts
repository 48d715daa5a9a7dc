import type { InferredOptionTypes, Options } from 'yargs';

import type { Progress } from './progress/progress.ts';
import type { Terminal } from './terminal.ts';
import { readTrust, type TrustArguments } from './trust-options.ts';

export const checkPartsOptions = {
  'check-parts': {
    type: 'boolean',
    default: true,
    describe: 'First compare the parts of a bundle with their checksums, where those are beside them',
  },
} as const satisfies Readonly<Record<string, Options>>;

/** Of a bundle in parts, each has to be the one that was made, before anything of it is used. */
export async function checkParts(
  args: TrustArguments & InferredOptionTypes<typeof checkPartsOptions> & { readonly bundle: string },
  { signal }: Terminal,
  progress: Progress,
): Promise<void> {
  if (!args['check-parts']) return;
  const { verifyParts } = await import('../bundle/verify-parts.ts');
  const { parts, hasChecksums } = await verifyParts(args.bundle, { trust: await readTrust(args), signal });
  if (hasChecksums) {
    progress.note('parts-verified', `${parts} parts are as they were made`, { parts });
  } else if (parts > 1) {
    progress.warn('no checksums are beside the parts: only the digests of the content in them protect it');
  }
}
