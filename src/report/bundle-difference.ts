import type { DiffDocument } from './documents.ts';
import { formatFields } from './fields.ts';
import { shortDigest } from './summaries.ts';
import { formatTable } from './table.ts';
import { formatBytes } from './units.ts';

/** A bundle that is compared. */
interface Compared {
  readonly id: string;
  readonly digest: string;
  readonly document: { readonly name: string };
}

/** What `diff` writes as JSON. */
export function diffDocument(
  from: Compared,
  to: Compared,
  { images, charts, attachments, files, added, shared, removed }: Omit<DiffDocument, 'from' | 'to'>,
): DiffDocument {
  const side = ({ id, digest, document: { name } }: Compared): DiffDocument['from'] => ({ name, id, digest });
  return { from: side(from), to: side(to), images, charts, attachments, files, added, shared, removed };
}

/** What `diff` tells people: a line for each image, chart or file that is not the same in both. */
export function formatDiff(document: DiffDocument): string {
  const { from, to, added, shared, removed } = document;
  const kinds = [
    ['image', document.images],
    ['', document.charts],
    ['attachment', document.attachments],
    ['file', document.files],
  ] as const;
  const rows = kinds.flatMap(([kind, difference]) => {
    const named = (name: string): string => (kind === '' ? name : `${kind} ${name}`);
    return [
      ...difference.added.map(({ name, digest }) => ['added', named(name), '', shortDigest(digest)]),
      ...difference.removed.map(({ name, digest }) => ['removed', named(name), shortDigest(digest), '']),
      ...difference.moved.map((each) => ['moved', named(each.name), shortDigest(each.from), shortDigest(each.to)]),
    ];
  });
  const total = ({ blobs, bytes }: DiffDocument['added']): string => `${formatBytes(bytes)} in ${blobs} blobs`;
  const same = kinds.reduce((sum, [, difference]) => sum + difference.same, 0);
  const fields = formatFields([
    ['from', `${from.name} ${from.id}`],
    ['to', `${to.name} ${to.id}`],
    ['new', total(added)],
    ['shared', total(shared)],
    ['gone', total(removed)],
    ['the same', `${same} images, charts and files`],
  ]);
  return rows.length === 0 ? fields : `${fields}\n${formatTable(['change', 'what', 'from', 'to'], rows)}`;
}
