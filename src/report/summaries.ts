import type { BuildDocument, InspectDocument, TransferDocument } from './documents.ts';
import { formatFields } from './fields.ts';
import { formatTable } from './table.ts';
import { formatBytes } from './units.ts';

/** What `build` tells people. */
export function formatBuild({ bundle, images, blobs, bytes }: BuildDocument): string {
  return formatFields([
    ['bundle', bundle.path],
    ['id', bundle.id],
    ['size', formatBytes(bundle.bytes)],
    ['images', String(images)],
    ['blobs', String(blobs)],
    ['referenced', formatBytes(bytes.referenced)],
    ['stored', formatBytes(bytes.stored)],
    ['saved', `${formatBytes(bytes.saved)} (shared blobs, downloaded and stored once)`],
  ]);
}

/** What `inspect` tells people: the bundle, and a line for each image. */
export function formatInspect({ bundle, images, blobs }: InspectDocument): string {
  const fields = formatFields([
    ['bundle', bundle.path],
    ['id', bundle.id],
    ['size', formatBytes(bundle.bytes)],
    ['images', String(images.length)],
    ['blobs', String(blobs)],
  ]);
  const rows = images.map(({ reference, digest, bytes, packs }) => [
    reference,
    shortDigest(digest),
    formatBytes(bytes),
    packs.join(', '),
  ]);
  return `${fields}\n${formatTable(['reference', 'digest', 'size', 'packs'], rows)}`;
}

/** What `load` tells people. `bytes` is what the blobs have. */
export function formatLoad({ images, blobs, missing }: TransferDocument, bytes: TransferDocument['blobs']): string {
  return formatFields([
    ['images', String(images)],
    ['uploaded', `${blobs.uploaded} blobs (${formatBytes(bytes.uploaded)})`],
    ['mounted', `${blobs.mounted} blobs (${formatBytes(bytes.mounted)} that another repository had: not sent again)`],
    ['present', `${blobs.present} blobs (${formatBytes(bytes.present)})`],
    ['missing', String(missing.length)],
  ]);
}

/** What `verify` tells people. */
export function formatVerify({ images, blobs, missing }: TransferDocument): string {
  return formatFields([
    ['images', String(images)],
    ['blobs', String(blobs.present)],
    ['missing', String(missing.length)],
  ]);
}

/** Enough of a digest to tell two apart: the first 12 hex digits. */
export function shortDigest(digest: string): string {
  return digest.slice(digest.indexOf(':') + 1).slice(0, 12);
}
