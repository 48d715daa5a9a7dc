import type { IsoPartsDocument } from './documents.ts';
import { formatFields } from './fields.ts';
import { formatBytes } from './units.ts';

/** What `iso parts` tells people. */
export function formatParts({ id, bytes, parts, list }: IsoPartsDocument): string {
  return formatFields([
    ['id', id],
    ['size', formatBytes(bytes)],
    ...parts.map((part) => ['part', part] as const),
    ['checksums', list],
  ]);
}
