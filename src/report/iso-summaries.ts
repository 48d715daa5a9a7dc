import type { IsoInspectDocument, IsoPartsDocument, MadeIsoDocument } from './documents.ts';
import { formatFields } from './fields.ts';
import { formatTable } from './table.ts';
import { countOf, formatBytes } from './units.ts';

/** What `iso parts` tells people. */
export function formatParts({ id, bytes, parts, list }: IsoPartsDocument): string {
  return formatFields([
    ['id', id],
    ['size', formatBytes(bytes)],
    ...parts.map((part) => ['part', part] as const),
    ['checksums', list],
  ]);
}

/** What `iso create` and `iso embed` tell people. */
export function formatMadeIso({ iso, bundles }: MadeIsoDocument): string {
  return formatFields([
    ['iso', iso.path],
    ['label', iso.label],
    ['size', formatBytes(iso.bytes)],
    ...bundles.map(
      ({ name, bytes, parts }) => ['bundle', `${name}: ${formatBytes(bytes)} in ${countOf(parts, 'part')}`] as const,
    ),
  ]);
}

/** What `iso inspect` tells people. */
export function formatIsoInspect({ iso, bundles, checksums, problems }: IsoInspectDocument): string {
  const fields = formatFields([
    ['iso', iso.path],
    ['label', iso.label],
    ['size', formatBytes(iso.bytes)],
    ['files', String(iso.files)],
    ['boots', bootText(iso.bootRecords)],
    ...(checksums === undefined
      ? []
      : [['checksums', `${checksums.verified} of ${checksums.listed} files are as they were made`] as const]),
  ]);
  const rows = bundles.map(({ path, id, bytes, parts, images, charts, signatures, hasChecksums, isVerified }) => [
    path,
    id,
    formatBytes(bytes),
    String(parts),
    String(images),
    String(charts),
    signatures.length === 0 ? 'no' : String(signatures.length),
    isVerified ? `yes, by ${hasChecksums ? 'checksums' : 'digests'}` : 'NO',
  ]);
  const table = formatTable(['bundle', 'id', 'size', 'parts', 'images', 'charts', 'signed', 'verified'], rows);
  return `${fields}\n${table}${problems.map((problem) => `problem: ${problem}\n`).join('')}`;
}

function bootText(records: readonly string[]): string {
  const platforms = [
    ...(records.some((line) => line.endsWith('platform_id=0x00')) ? ['BIOS'] : []),
    ...(records.some((line) => line.endsWith('platform_id=0xef')) ? ['UEFI'] : []),
  ];
  return platforms.length === 0 ? 'no' : platforms.join(' and ');
}
