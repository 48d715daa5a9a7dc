import type { LoadResult } from '../loader/load-result.ts';
import type { TransferDocument } from '../report/documents.ts';

/** What `load` and `verify` write to stdout. */
export function transferDocument({ images, charts, blobs, missing }: Omit<LoadResult, 'bytes'>): TransferDocument {
  return {
    images,
    charts,
    blobs,
    missing: missing.map((content) => ({ ...content, references: [...content.references] })),
  };
}
