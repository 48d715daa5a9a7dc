import type { BuildDocument, InspectDocument, SignDocument, TransferDocument } from './documents.ts';
import { formatFields } from './fields.ts';
import { formatTable } from './table.ts';
import { formatBytes } from './units.ts';

/** What `build` tells people. */
export function formatBuild(document: BuildDocument): string {
  const { bundle, signatures, images, charts, attachments, blobs, bytes, missing, excluded, served } = document;
  const { bundles, cache } = bytes.reused;
  return formatFields([
    ['bundle', bundle.path],
    ['id', bundle.id],
    ['size', formatBytes(bundle.bytes)],
    ...signatureFields(signatures),
    ['images', String(images)],
    ...chartsField(charts),
    ...attachmentsField(attachments),
    ['blobs', String(blobs)],
    ['referenced', formatBytes(bytes.referenced)],
    ['stored', formatBytes(bytes.stored)],
    ['saved', `${formatBytes(bytes.saved)} (shared blobs, downloaded and stored once)`],
    ...(bundles + cache === 0
      ? []
      : [['reused', `${formatBytes(bundles + cache)} (not downloaded: this machine had it)`] as const]),
    ...served.map((host) => ['from', formatServed(host)] as const),
    ...(missing.length === 0 ? [] : [['missing', missing.map(({ reference }) => reference).join(', ')] as const]),
    ...(excluded.length === 0 ? [] : [['excluded', excluded.map(({ reference }) => reference).join(', ')] as const]),
  ]);
}

function formatServed({ host, bytes, failures }: BuildDocument['served'][number]): string {
  return `${host}: ${formatBytes(bytes)}${failures === 0 ? '' : ` (failed ${failures} times)`}`;
}

/** What `inspect` tells people: the bundle, and a line for each image and chart. */
export function formatInspect({ bundle, signatures, images, charts, attachments, blobs }: InspectDocument): string {
  const fields = formatFields([
    ['bundle', bundle.path],
    ['id', bundle.id],
    ['size', formatBytes(bundle.bytes)],
    ...signatureFields(signatures),
    ['images', String(images.length)],
    ...chartsField(charts.length),
    ...attachmentsField(attachments.length),
    ['blobs', String(blobs)],
  ]);
  const rows = images.map(({ reference, digest, bytes, packs }) => [
    reference,
    shortDigest(digest),
    formatBytes(bytes),
    packs.join(', '),
  ]);
  const chartRows = charts.map(({ kind, name, version, digest, bytes, reference }) => [
    kind,
    name,
    version,
    shortDigest(digest),
    formatBytes(bytes),
    reference,
  ]);
  const tables = [
    formatTable(['reference', 'digest', 'size', 'packs'], rows),
    ...(charts.length === 0
      ? []
      : [formatTable(['kind', 'name', 'version', 'digest', 'size', 'reference'], chartRows)]),
  ];
  return [fields, ...tables].join('\n');
}

/** What `sign` tells people. */
export function formatSign({ path, id, signatures, changed }: SignDocument): string {
  return formatFields([
    ['bundle', path],
    ['id', id],
    ...signatureFields(signatures),
    ...(changed ? [] : [['changed', 'nothing: it was signed already'] as const]),
  ]);
}

function signatureFields(signatures: SignDocument['signatures']): (readonly [string, string])[] {
  return signatures.map(({ algorithm, keyId }) => ['signed by', `${keyId} (${algorithm})`]);
}

/** What `load` tells people. `bytes` is what the blobs have. */
export function formatLoad(
  { images, charts, blobs, missing }: TransferDocument,
  bytes: TransferDocument['blobs'],
): string {
  return formatFields([
    ['images', String(images)],
    ...chartsField(charts),
    ['uploaded', `${blobs.uploaded} blobs (${formatBytes(bytes.uploaded)})`],
    ['mounted', `${blobs.mounted} blobs (${formatBytes(bytes.mounted)} that another repository had: not sent again)`],
    ['present', `${blobs.present} blobs (${formatBytes(bytes.present)})`],
    ['missing', String(missing.length)],
  ]);
}

/** What `verify` tells people. */
export function formatVerify({ images, charts, blobs, missing }: TransferDocument): string {
  return formatFields([
    ['images', String(images)],
    ...chartsField(charts),
    ['blobs', String(blobs.present)],
    ['missing', String(missing.length)],
  ]);
}

function attachmentsField(attachments: number): [string, string][] {
  return attachments === 0 ? [] : [['attachments', `${attachments} (signatures, attestations, SBOMs)`]];
}

/** Most bundles have none: then nothing is said. */
function chartsField(charts: number): [string, string][] {
  return charts === 0 ? [] : [['charts', String(charts)]];
}

/** Enough of a digest to tell two apart: the first 12 hex digits. */
export function shortDigest(digest: string): string {
  return digest.slice(digest.indexOf(':') + 1).slice(0, 12);
}
