import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';

import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError } from '../errors.ts';
import { fileError } from '../files/file-error.ts';
import type { IsoBundle } from './content-entries.ts';
import type { IsoEntry, LateEntry } from './iso-entry.ts';

export const checksumPath = '/SHA256SUMS';

/** Digest in hex and path from the ISO's root, as `sha256sum -c` reads them. */
interface Line {
  readonly sha256: string;
  readonly path: string;
}

/** A file for `sha256sum -c`, over all of `entries` and all that is in `bundles`. */
export function checksumEntry(
  entries: readonly IsoEntry[],
  bundles: readonly IsoBundle[],
  options: OperationOptions,
): LateEntry {
  const files = [...entries, ...bundles.flatMap((bundle) => bundle.entries)].filter(({ kind }) => kind !== 'link');
  const blank = files.map(({ path }) => ({ path, sha256: '0'.repeat(64) }));
  let made: Promise<Buffer> | undefined;
  return {
    kind: 'late',
    path: checksumPath,
    size: encode(blank).byteLength,
    bytes: () => (made ??= checksums(files, bundles, options).then(encode)),
  };
}

/** @throws EdgeBundleError ISO_INVALID */
export function parseChecksums(text: string): ReadonlyMap<string, string> {
  const lines = new Map<string, string>();
  for (const line of text.split('\n').slice(0, -1)) {
    const { sha256, path } = /^(?<sha256>[0-9a-f]{64}) [ *]\.\/(?<path>.+)$/.exec(line)?.groups ?? {};
    if (sha256 === undefined)
      throw new EdgeBundleError('ISO_INVALID', `'${checksumPath}' has a line that is none of sha256sum`);
    lines.set(`/${path ?? ''}`, sha256);
  }
  return lines;
}

function encode(lines: readonly Line[]): Buffer {
  const sorted = lines.toSorted((one, other) => (one.path < other.path ? -1 : 1));
  return Buffer.from(sorted.map(({ sha256, path }) => `${sha256}  .${path}\n`).join(''));
}

async function checksums(
  files: readonly IsoEntry[],
  bundles: readonly IsoBundle[],
  { signal }: OperationOptions,
): Promise<Line[]> {
  const known = new Map<string, string>();
  for (const bundle of bundles) {
    const list = await bundle.list();
    for (const entry of bundle.entries) {
      const part = list.parts.find(({ name }) => entry.path.endsWith(`/${name}`));
      if (part !== undefined) known.set(entry.path, part.sha256);
    }
  }
  const lines: Line[] = [];
  for (const entry of files)
    lines.push({ path: entry.path, sha256: known.get(entry.path) ?? (await checksumOf(entry, signal)) });
  return lines;
}

async function checksumOf(entry: IsoEntry, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash('sha256');
  if (entry.kind === 'bytes') return hash.update(entry.bytes).digest('hex');
  if (entry.kind === 'late') return hash.update(await entry.bytes()).digest('hex');
  const range = entry.kind === 'slice' ? { start: entry.offset, end: entry.offset + entry.size - 1 } : {};
  try {
    await pipeline(createReadStream(entry.file, range), hash, { signal });
  } catch (error) {
    throw fileError(error, `cannot read '${entry.file}'`);
  }
  return hash.digest('hex');
}
