import { join } from 'node:path';

import { homeFolder } from '../files/home-folder.ts';
import type { Terminal } from './terminal.ts';
import { usageError } from './usage.ts';

interface CacheArguments {
  readonly 'cache-dir'?: string | undefined;
}

/** Where renderings and blobs are kept between runs; undefined where nothing names a place, and the user has no home. */
export function findCacheFolder(args: CacheArguments, { environment }: Terminal): string | undefined {
  const given = args['cache-dir'] ?? environment.EDGE_BUNDLE_CACHE_DIR;
  if (given !== undefined && given !== '') return given;
  const { XDG_CACHE_HOME: xdg } = environment;
  if (xdg !== undefined && xdg !== '') return join(xdg, 'edge-bundle');
  const home = homeFolder(environment);
  return home === undefined ? undefined : join(home, '.cache', 'edge-bundle');
}

/** The same for what cannot do without. */
export function cacheFolder(args: CacheArguments, terminal: Terminal): string {
  const folder = findCacheFolder(args, terminal);
  if (folder !== undefined) return folder;
  throw usageError(
    'there is no place for the cache: this user has no home folder',
    'Give --cache-dir, or set EDGE_BUNDLE_CACHE_DIR.',
  );
}
