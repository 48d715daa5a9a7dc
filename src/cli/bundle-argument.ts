import type { BundleReader } from '../bundle/bundle-reader.ts';
import { readTrust, type TrustArguments } from './trust-options.ts';

/** For the positional of commands that read a bundle. */
export const bundleArgument = {
  type: 'string',
  demandOption: true,
  describe: 'The bundle: its file, one of its parts, or the folder that it is alone in',
} as const;

/** Opens a bundle that is what the options of `trust-options.ts` ask for, and closes it when `use` is done. */
export async function withBundle<T>(
  path: string,
  args: TrustArguments,
  use: (bundle: BundleReader) => Promise<T>,
): Promise<T> {
  const trust = await readTrust(args);
  const { BundleReader } = await import('../bundle/bundle-reader.ts');
  const bundle = await BundleReader.open(path, { trust });
  try {
    return await use(bundle);
  } finally {
    await bundle.close();
  }
}

/** Opens several bundles, each of which is what the options ask for, and closes them when `use` is done. */
export async function withBundles<T>(
  paths: readonly [string, ...string[]],
  args: TrustArguments,
  use: (bundles: readonly [BundleReader, ...BundleReader[]]) => Promise<T>,
): Promise<T> {
  const [path, ...others] = paths;
  return withBundle(path, args, async (bundle) => {
    const [next, ...rest] = others;
    if (next === undefined) return use([bundle]);
    return withBundles([next, ...rest], args, (bundles) => use([bundle, ...bundles]));
  });
}

/** Of all blobs and manifests, in bytes. */
export function contentBytes(bundle: BundleReader): number {
  return bundle.document.blobs.reduce((sum, { size }) => sum + size, 0);
}
