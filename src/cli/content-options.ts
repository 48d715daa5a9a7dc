import { basename, join } from 'node:path';

import type { InferredOptionTypes, Options } from 'yargs';

import type { BuildOptions } from '../build/build-bundle.ts';
import type { WantedFile } from '../build/wanted-content.ts';
import { parsePlatform } from '../content/platform-match.ts';
import type { Platform } from '../content/platform.ts';
import { isEdgeBundleError } from '../errors.ts';
import type { BlobCache } from '../store/blob-cache.ts';
import { cacheFolder } from './cache-folder.ts';
import type { Progress } from './progress/progress.ts';
import type { Terminal } from './terminal.ts';
import { readKeyTrust, readTrust, type TrustArguments } from './trust-options.ts';
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
  file: {
    group: selectionGroup,
    type: 'string',
    array: true,
    requiresArg: true,
    describe: 'Carry this file for whoever extracts it: PATH, or PATH=NAME (repeatable)',
  },
  base: {
    group: selectionGroup,
    type: 'string',
    requiresArg: true,
    describe: 'Make a delta: leave out what this bundle has; its bundle.json is enough',
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
  | 'platforms'
  | 'allowMissingPlatform'
  | 'attachments'
  | 'allowOrphanedSignatures'
  | 'files'
  | 'base'
  | 'existing'
  | 'cache'
>;

/** Opens what the options name, and closes it when `use` is done. A cache that cannot be used is a warning. */
export async function withContentOptions<T>(
  args: ContentArguments & TrustArguments,
  terminal: Terminal,
  progress: Progress,
  use: (options: ContentSelection) => Promise<T>,
): Promise<T> {
  const { BundleReader } = await import('../bundle/bundle-reader.ts');
  const { readBundleDocument } = await import('../bundle/read-document.ts');
  const existing: Awaited<ReturnType<typeof BundleReader.open>>[] = [];
  ensureTrustIsOfUse(args);
  // Old ones are what it is for, and their bytes are hashed: who made them is all that a host can ask of them.
  const trust = await readKeyTrust(args);
  const trustOfBase = await readTrust(args);
  try {
    for (const path of args['existing-bundle'] ?? []) existing.push(await BundleReader.open(path, { trust }));
    return await use({
      platforms: args.arch,
      allowMissingPlatform: args['allow-missing-platform'],
      attachments: args.referrers,
      allowOrphanedSignatures: args['allow-orphaned-signatures'],
      files: await readFiles(args.file ?? [], terminal),
      base: args.base === undefined ? undefined : await readBundleDocument(args.base, { trust: trustOfBase }),
      existing,
      cache: args.cache ? await openCache(args, terminal, progress) : undefined,
    });
  } finally {
    for (const bundle of existing) await bundle.close();
  }
}

/** Who asks for a check and gives nothing to be checked takes one for made. */
function ensureTrustIsOfUse(args: ContentArguments & TrustArguments): void {
  const { base, 'existing-bundle': existing = [], 'public-key': keys = [], 'minimum-date': minimumDate } = args;
  if (base !== undefined) return;
  if (minimumDate !== undefined) throw usageError('--minimum-date is for the bundle of --base, and none is given');
  if (keys.length === 0 || existing.length > 0) return;
  throw usageError(
    '--public-key is for the bundles of --base and --existing-bundle, and none is given',
    'To sign what is built, give --private-key.',
  );
}

async function openCache(
  args: ContentArguments,
  terminal: Terminal,
  progress: Progress,
): Promise<BlobCache | undefined> {
  const { BlobCache } = await import('../store/blob-cache.ts');
  try {
    return await BlobCache.open(blobFolder(args, terminal), { maxBytes: args['cache-size'] });
  } catch (error) {
    if (!isEdgeBundleError(error, 'FILE_FAILED', 'NO_SPACE')) throw error;
    progress.warn(`the build goes on without the cache: ${error.message}`);
    return undefined;
  }
}

function readPlatforms(names: readonly string[]): Platform[] {
  return names.map((name) => {
    try {
      return parsePlatform(name);
    } catch (error) {
      if (!isEdgeBundleError(error)) throw error;
      // Of what is thrown here, the parser keeps the message alone.
      throw usageError(`--arch: ${error.message} (${error.hint ?? ''})`);
    }
  });
}

async function readFiles(texts: readonly string[], { signal }: Terminal): Promise<WantedFile[]> {
  const { fileArtifact } = await import('../artifact/file-artifact.ts');
  const { bundleFilePattern } = await import('../bundle/bundle-document.ts');
  const files: WantedFile[] = [];
  for (const text of texts) {
    const at = text.lastIndexOf('=');
    const path = at < 0 ? text : text.slice(0, at);
    const name = at < 0 ? basename(text) : text.slice(at + 1);
    if (path === '' || !bundleFilePattern.test(name)) {
      throw usageError(
        `--file: '${name}' cannot be the name of a file in a bundle`,
        "Give it another one, PATH=NAME: letters and digits of ASCII, with '.', '_', '-', '@', '+' or '~'; at most 128.",
      );
    }
    if (files.some((file) => file.name === name)) throw usageError(`--file: two files are called '${name}'`);
    files.push(await fileArtifact(path, name, { signal }));
  }
  return files;
}

/** Where blobs are kept between builds. */
export function blobFolder(args: { readonly 'cache-dir': string | undefined }, terminal: Terminal): string {
  return join(cacheFolder(args, terminal), 'blobs');
}
