import type { Argv, CommandModule, InferredOptionTypes, Options } from 'yargs';

import { formatCacheList, formatCachePrune, formatCacheVerify } from '../../report/cache-summaries.ts';
import type { BlobCache } from '../../store/blob-cache.ts';
import { blobFolder } from '../content-options.ts';
import { type GlobalArguments, outputOption } from '../global-options.ts';
import type { Progress } from '../progress/progress.ts';
import { withProgress } from '../progress/with-progress.ts';
import { writeResult } from '../result.ts';
import type { Terminal } from '../terminal.ts';
import { byteSize, duration, usageError } from '../usage.ts';

const options = {
  'cache-dir': {
    type: 'string',
    requiresArg: true,
    describe: 'The cache (or EDGE_BUNDLE_CACHE_DIR; default: ~/.cache/edge-bundle)',
  },
  'max-size': {
    requiresArg: true,
    coerce: byteSize('max-size'),
    describe: 'prune: how much may stay; what was used longest ago goes first (0, 500M, 20G)',
  },
  'older-than': {
    requiresArg: true,
    coerce: duration('older-than'),
    describe: 'prune: remove what was not used for so long (12h, 30d)',
  },
  output: outputOption,
} as const satisfies Readonly<Record<string, Options>>;

const actions = ['ls', 'prune', 'verify'] as const;

type CacheArguments = GlobalArguments &
  InferredOptionTypes<typeof options> & { readonly action: (typeof actions)[number] };

export function cacheCommand(terminal: Terminal): CommandModule<GlobalArguments, CacheArguments> {
  return {
    command: 'cache <action>',
    describe: 'Show, shrink or check what builds with --cache have kept',
    builder: (yargs: Argv<GlobalArguments>) =>
      yargs
        .positional('action', {
          choices: actions,
          demandOption: true,
          describe: 'List it; remove from it; read all of it and remove what is damaged',
        })
        .options(options)
        .example('$0 cache ls', 'What is kept, and when each was last used')
        .example('$0 cache prune --older-than 30d --max-size 10G', 'Remove what is old, and what is too much'),
    handler: (args) => withProgress(terminal, args, (progress) => runAction(args, terminal, progress)),
  };
}

async function runAction(args: CacheArguments, terminal: Terminal, progress: Progress): Promise<void> {
  const { action } = args;
  const isLimited = args['max-size'] !== undefined || args['older-than'] !== undefined;
  if (action !== 'prune' && isLimited) throw usageError(`--max-size and --older-than are for 'cache prune'`);
  if (action === 'prune' && !isLimited) {
    throw usageError('nothing says what is to go', 'Give --max-size or --older-than; --max-size 0 removes everything.');
  }
  const { BlobCache } = await import('../../store/blob-cache.ts');
  const cache = await BlobCache.open(blobFolder(args, terminal));
  if (action === 'ls') await list(cache, args, terminal);
  else if (action === 'prune') await prune(cache, args, terminal);
  else await verify(cache, args, terminal, progress);
}

async function list(cache: BlobCache, { output }: CacheArguments, terminal: Terminal): Promise<void> {
  const entries = await cache.entries();
  const blobs = entries.map(({ digest, bytes, lastUsed }) => ({ digest, bytes, lastUsed: lastUsed.toISOString() }));
  await writeResult(terminal, output, { folder: cache.folder, bytes: sumOf(entries), blobs }, formatCacheList);
}

async function prune(cache: BlobCache, args: CacheArguments, terminal: Terminal): Promise<void> {
  const { signal } = terminal;
  const removed = await cache.prune({ maxBytes: args['max-size'], olderThanMs: args['older-than'], signal });
  const kept = await cache.entries();
  const document = {
    folder: cache.folder,
    removed: { blobs: removed.length, bytes: sumOf(removed) },
    kept: { blobs: kept.length, bytes: sumOf(kept) },
  };
  await writeResult(terminal, args.output, document, formatCachePrune);
}

async function verify(cache: BlobCache, args: CacheArguments, terminal: Terminal, progress: Progress): Promise<void> {
  progress.expect(sumOf(await cache.entries()));
  const damaged = await cache.verify({ signal: terminal.signal, onProgress: (bytes) => progress.advance(bytes) });
  progress.end();
  const sound = await cache.entries();
  const document = {
    folder: cache.folder,
    sound: { blobs: sound.length, bytes: sumOf(sound) },
    damaged: damaged.map(({ digest, bytes }) => ({ digest, bytes })),
  };
  await writeResult(terminal, args.output, document, formatCacheVerify);
}

function sumOf(blobs: readonly { readonly bytes: number }[]): number {
  return blobs.reduce((sum, { bytes }) => sum + bytes, 0);
}
