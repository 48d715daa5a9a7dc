import type { DifferenceDocument, ResolveDocument, WhyDocument } from './documents.ts';
import { formatTable } from './table.ts';

type Image = ResolveDocument['images'][number];

/** What `resolve` tells people: a line for each image, then what may be missing, then each pack. */
export function formatResolve(document: ResolveDocument): string {
  const { images, charts, missing, excluded, unrendered, packs } = document;
  const sections = [
    formatTable(
      ['image', 'class', 'from'],
      images.map((image) => [image.reference, image.classes.join(', '), formatOrigins(image)]),
    ),
  ];
  if (charts.length > 0) {
    const rows = charts.map(({ kind, name, version, reference }) => [`${name} ${version}`, kind, reference]);
    sections.push(formatTable(['chart', 'kind', 'reference'], rows));
  }
  if (missing.length > 0) {
    const rows = missing.map((image) => [image.reference, formatOrigins(image), image.reason]);
    sections.push(formatTable(['not in its registry', 'from', 'reason'], rows));
  }
  if (excluded.length > 0) {
    const rows = excluded.map((image) => [image.reference, image.pattern, formatOrigins(image)]);
    sections.push(formatTable(['left out', 'by', 'from'], rows));
  }
  if (unrendered.length > 0) {
    const rows = unrendered.map(({ profile, pack, chart, reason }) => [pack ?? profile, chart ?? '', reason]);
    sections.push(formatTable(['not rendered', 'chart', 'reason'], rows));
  }
  sections.push(
    formatTable(
      ['pack', 'version', 'declared', 'rendered', 'referenced', 'inferred', 'undeclared', 'missing', 'unrendered'],
      packs.map((pack) => [
        pack.pack ?? pack.profile,
        pack.version ?? '',
        String(pack.declared),
        String(pack.rendered),
        String(pack.referenced),
        String(pack.inferred),
        String(pack.undeclared.length),
        String(pack.missing.length),
        String(pack.unrendered),
      ]),
    ),
  );
  return sections.join('\n');
}

/** The references alone, one a line: an input of other tools, and of this one. */
export function formatImageList({ images }: ResolveDocument): string {
  return images.map(({ reference }) => `${reference}\n`).join('');
}

/** Every place that asks for each of some images. */
export function formatWhy({ images, missing, excluded }: WhyDocument): string {
  const blocks = [
    ...images.map((image) => formatPlaces(image, '')),
    ...missing.map((image) => formatPlaces(image, `not in its registry: ${image.reason}\n`)),
    ...excluded.map((image) => formatPlaces(image, `left out by '${image.pattern}'\n`)),
  ];
  return blocks.join('\n');
}

function formatPlaces({ reference, spellings, sources }: Omit<Image, 'digest'>, state: string): string {
  const rows = sources.map(({ class: name, profile, pack, chart, path, note }) => [
    name,
    [profile, pack, chart].filter((part) => part !== undefined).join(' / '),
    note === undefined ? path : `${path} (${note})`,
  ]);
  const others = spellings.filter((spelling) => spelling !== reference);
  const written = others.length === 0 ? '' : `written as ${others.join(', ')}\n`;
  return `${reference}\n${written}${state}\n${formatTable(['class', 'from', 'place'], rows)}`;
}

/** What `resolve --diff` tells people: what is more (`+`), less (`-`) or in another version (`~`). */
export function formatDifference({ added, removed, changed }: DifferenceDocument): string {
  const lines = [
    ...changed.map(({ from, to }) => `~ ${from} -> ${to}`),
    ...added.map((reference) => `+ ${reference}`),
    ...removed.map((reference) => `- ${reference}`),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

/** Compares references in normal form; the same repository in one other version counts as changed. */
export function differenceDocument(before: readonly string[], after: readonly string[]): DifferenceDocument {
  const removed = new Set(before.filter((reference) => !after.includes(reference)));
  const added: string[] = [];
  const changed: { from: string; to: string }[] = [];
  for (const to of after.filter((reference) => !before.includes(reference))) {
    const from = [...removed].find((reference) => repositoryOf(reference) === repositoryOf(to));
    if (from === undefined) added.push(to);
    else {
      removed.delete(from);
      changed.push({ from, to });
    }
  }
  return { added, removed: [...removed], changed };
}

function formatOrigins({ sources }: Pick<Image, 'sources'>): string {
  return [...new Set(sources.map(({ profile, pack }) => pack ?? profile))].join(', ');
}

function repositoryOf(reference: string): string {
  return reference.replace(/@.*$/, '').replace(/:[^:/]*$/, '');
}
