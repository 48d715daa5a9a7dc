import type {
  BuildDocument,
  ExtractDocument,
  InspectDocument,
  MergeDocument,
  SignDocument,
  TransferDocument,
} from './documents.ts';
import { formatFields } from './fields.ts';
import { formatTable } from './table.ts';
import { formatBytes } from './units.ts';

/** What `build` tells people. */
export function formatBuild(document: BuildDocument): string {
  const { bundle, signatures, images, charts, attachments, files, blobs, base, bytes, missing, excluded, served } =
    document;
  const { bundles, cache } = bytes.reused;
  return formatFields([
    ['bundle', bundle.path],
    ['id', bundle.id],
    ['size', formatBytes(bundle.bytes)],
    ...signatureFields(signatures),
    ['images', String(images)],
    ...chartsField(charts),
    ...attachmentsField(attachments),
    ...filesField(files),
    ['blobs', String(blobs)],
    ['referenced', formatBytes(bytes.referenced)],
    ['stored', formatBytes(bytes.stored)],
    ...baseField(base),
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
export function formatInspect({
  bundle,
  signatures,
  images,
  charts,
  attachments,
  files,
  blobs,
  base,
}: InspectDocument): string {
  const fields = formatFields([
    ['bundle', bundle.path],
    ['id', bundle.id],
    ['size', formatBytes(bundle.bytes)],
    ...signatureFields(signatures),
    ['images', String(images.length)],
    ...chartsField(charts.length),
    ...attachmentsField(attachments.length),
    ...filesField(files.length),
    ['blobs', String(blobs)],
    ...baseField(base),
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
  const fileRows = files.map(({ name, digest, bytes }) => [name, shortDigest(digest), formatBytes(bytes)]);
  const tables = [
    formatTable(['reference', 'digest', 'size', 'packs'], rows),
    ...(charts.length === 0
      ? []
      : [formatTable(['kind', 'name', 'version', 'digest', 'size', 'reference'], chartRows)]),
    ...(files.length === 0 ? [] : [formatTable(['file', 'digest', 'size'], fileRows)]),
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
export function formatVerify({ images, charts, blobs, missing, base }: TransferDocument): string {
  return formatFields([
    ['images', String(images)],
    ...chartsField(charts),
    ['blobs', String(blobs.present)],
    ...baseField(base),
    ['missing', String(missing.length)],
  ]).concat(missingTable(missing));
}

/** Empty where nothing is missing. */
function missingTable(missing: TransferDocument['missing']): string {
  if (missing.length === 0) return '';
  const rows = missing.map(({ kind, repository, digest, tag, found, damage, references }) => [
    kind,
    tag === undefined ? `${repository}@${shortDigest(digest)}` : `${repository}:${tag}`,
    damage ?? (found === undefined ? 'missing' : `leads to ${shortDigest(found)}`),
    references.join(', '),
  ]);
  return `\n${formatTable(['kind', 'place', 'state', 'needed by'], rows)}`;
}

/** What `merge` tells people. */
export function formatMerge({ bundle, images, charts, blobs }: MergeDocument): string {
  return formatFields([
    ['bundle', bundle.path],
    ['id', bundle.id],
    ['size', formatBytes(bundle.bytes)],
    ['images', String(images)],
    ...chartsField(charts),
    ['blobs', String(blobs)],
  ]);
}

/** What `extract` tells people: where each file is. */
export function formatExtract({ files }: ExtractDocument): string {
  return formatTable(
    ['file', 'size', 'path'],
    files.map(({ name, bytes, path }) => [name, formatBytes(bytes), path]),
  );
}

function filesField(files: number): [string, string][] {
  return files === 0 ? [] : [['files', String(files)]];
}

/** A bundle that is complete by itself has none. */
function baseField(base: InspectDocument['base']): [string, string][] {
  if (base === undefined) return [];
  const { name, id, blobs, bytes } = base;
  return [['base', `${name} ${id}: ${blobs} blobs (${formatBytes(bytes)}) are left to it`]];
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
