import type { CacheListDocument, CachePruneDocument, CacheVerifyDocument } from './documents.ts';
import { formatFields } from './fields.ts';
import { formatTable } from './table.ts';
import { formatBytes } from './units.ts';

/** What `cache ls` tells people: the longest unused first. */
export function formatCacheList({ folder, bytes, blobs }: CacheListDocument): string {
  const fields = formatFields([
    ['folder', folder],
    ['blobs', String(blobs.length)],
    ['size', formatBytes(bytes)],
  ]);
  const rows = blobs.map(({ digest, bytes: size, lastUsed }) => [
    digest,
    formatBytes(size),
    lastUsed.replace('T', ' ').slice(0, 16),
  ]);
  return `${fields}\n${formatTable(['digest', 'size', 'last used'], rows)}`;
}

/** What `cache prune` tells people. */
export function formatCachePrune({ folder, removed, kept }: CachePruneDocument): string {
  return formatFields([
    ['folder', folder],
    ['removed', describe(removed)],
    ['kept', describe(kept)],
  ]);
}

/** What `cache verify` tells people. */
export function formatCacheVerify({ folder, sound, damaged }: CacheVerifyDocument): string {
  return formatFields([
    ['folder', folder],
    ['sound', describe(sound)],
    ['damaged', `${damaged.length} blobs${damaged.length === 0 ? '' : ', removed:'}`],
    ...damaged.map(({ digest }) => ['', digest] as const),
  ]);
}

function describe({ blobs, bytes }: { readonly blobs: number; readonly bytes: number }): string {
  return `${blobs} blobs (${formatBytes(bytes)})`;
}
