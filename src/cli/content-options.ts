import { join } from 'node:path';

import type { InferredOptionTypes, Options } from 'yargs';

import type { BuildOptions } from '../build/build-bundle.ts';
import { parsePlatform } from '../content/platform-match.ts';
import type { Platform } from '../content/platform.ts';
import { isEdgeBundleError } from '../errors.ts';
import { cacheFolder } from './read-inputs.ts';
import type { Terminal } from './terminal.ts';
import { byteSize, usageError } from './usage.ts';

const selectionGroup = 'What is carried:';
const sourceGroup = 'What is not downloaded:';

/** How much of each image a build carries, and what it need not download. */
export const contentOptions = {
  arch: {
    group: selectionGroup,
    type: 'string',
    array: true,
    requiresArg: true,
    coerce: readPlatforms,
    describe: 'Carry only what this platform runs: amd64, arm64, arm/v7 (repeatable; default: all platforms)',
  },
  'allow-missing-platform': {
    group: selectionGroup,
    type: 'boolean',
    default: false,
    describe: 'Go on where an image has nothing for a platform of --arch',
  },
  referrers: {
    group: selectionGroup,
    type: 'boolean',
    default: true,
    describe: 'Carry signatures, attestations and SBOMs too',
  },
  'allow-orphaned-signatures': {
    group: selectionGroup,
    type: 'boolean',
    default: false,
    describe: 'Leave signatures of an index behind where --arch changes it',
  },
  'existing-bundle': {
    group: sourceGroup,
    type: 'string',
    array: true,
    requiresArg: true,
    describe: 'Take what an earlier bundle has from it (repeatable)',
  },
  cache: {
    group: sourceGroup,
    type: 'boolean',
    default: false,
    describe: 'Keep what is downloaded for other builds, and take from there what they kept',
  },
  'cache-size': {
    group: sourceGroup,
    requiresArg: true,
    coerce: byteSize('cache-size'),
    describe: 'How much the cache may have: what was used longest ago goes first (default: 20G)',
  },
} as const satisfies Readonly<Record<string, Options>>;

export type ContentArguments = InferredOptionTypes<typeof contentOptions> & {
  readonly 'cache-dir': string | undefined;
};

export type ContentSelection = Pick<
  BuildOptions,
  'platforms' | 'allowMissingPlatform' | 'attachments' | 'allowOrphanedSignatures' | 'existing' | 'cache'
>;

/** Opens what the options name, and closes it when `use` is done. */
export async function withContentOptions<T>(
  args: ContentArguments,
  terminal: Terminal,
  use: (options: ContentSelection) => Promise<T>,
): Promise<T> {
  const { BundleReader } = await import('../bundle/bundle-reader.ts');
  const { BlobCache } = await import('../store/blob-cache.ts');
  const maxBytes = args['cache-size'];
  const existing: Awaited<ReturnType<typeof BundleReader.open>>[] = [];
  try {
    for (const path of args['existing-bundle'] ?? []) existing.push(await BundleReader.open(path));
    return await use({
      platforms: args.arch,
      allowMissingPlatform: args['allow-missing-platform'],
      attachments: args.referrers,
      allowOrphanedSignatures: args['allow-orphaned-signatures'],
      existing,
      cache: args.cache ? await BlobCache.open(blobFolder(args, terminal), { maxBytes }) : undefined,
    });
  } finally {
    for (const bundle of existing) await bundle.close();
  }
}

function readPlatforms(names: readonly string[]): Platform[] {
  return names.map((name) => {
    try {
      return parsePlatform(name);
    } catch (error) {
      if (!isEdgeBundleError(error)) throw error;
      throw usageError(`--arch: ${error.message}`, error.hint);
    }
  });
}

/** Where blobs are kept between builds. */
export function blobFolder(args: { readonly 'cache-dir': string | undefined }, terminal: Terminal): string {
  return join(cacheFolder(args, terminal), 'blobs');
}
