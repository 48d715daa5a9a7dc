import { open } from 'node:fs/promises';
import { basename } from 'node:path';

import * as z from 'zod';

import { listOf } from '../content/list-schema.ts';
import { EdgeBundleError, systemErrorCode } from '../errors.ts';
import { fileError } from '../files/file-error.ts';
import { partSuffix } from './find-parts.ts';

/** What the parts of a bundle have to be: `<bundle>.parts.json`, beside them. Sizes in bytes. */
export interface PartList {
  /** The name of the file that the parts make together. */
  readonly bundle: string;
  /** The bundle's: the first 16 hex digits of the digest of `bundle.json`. */
  readonly id: string;
  readonly size: number;
  /** In order. */
  readonly parts: readonly ListedPart[];
}

export interface ListedPart {
  readonly name: string;
  readonly size: number;
  /** In hex. */
  readonly sha256: string;
}

/** A part that is there. */
export interface PresentPart {
  readonly name: string;
  readonly size: number;
}

const maxListBytes = 16 * 1024 * 1024;
const tooLarge = `it has more than ${maxListBytes} bytes`;
const size = z.int().positive();

const listSchema = z.strictObject({
  // Becomes part of paths: no separators, no control characters, neither '.' nor '..'.
  bundle: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,199}$/),
  id: z.string().regex(/^[0-9a-f]{16}$/),
  size,
  parts: listOf(z.strictObject({ name: z.string(), size, sha256: z.string().regex(/^[0-9a-f]{64}$/) })),
});

/** The list's path, from the path that the parts have before `_part00`. */
export function partListPath(base: string): string {
  return `${base}.parts.json`;
}

/** Canonical: compact JSON with its members in this order, and a line end. */
export function encodePartList({ bundle, id, size: total, parts }: PartList): Buffer {
  const list = {
    bundle,
    id,
    size: total,
    parts: parts.map(({ name, size: bytes, sha256 }) => ({ name, size: bytes, sha256 })),
  };
  return Buffer.from(`${JSON.stringify(list)}\n`);
}

/** @param where names the list in messages. @throws EdgeBundleError BUNDLE_INVALID where it is not in canonical form */
export function decodePartList(bytes: Buffer, where: string): PartList {
  if (bytes.byteLength > maxListBytes) throw invalid(where, tooLarge);
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw invalid(where, 'it is no JSON', cause);
  }
  const { data: list, error } = listSchema.safeParse(json);
  if (list === undefined) throw invalid(where, z.prettifyError(error).replace(/\s*\n\s*/g, ' '));
  const wrong = list.parts.findIndex(({ name }, index) => name !== `${list.bundle}${partSuffix(index)}`);
  if (wrong >= 0) throw invalid(where, `part ${wrong} is not '${list.bundle}${partSuffix(wrong)}'`);
  const full = list.parts[0]?.size ?? 0;
  const sizesFit = list.parts.every(
    (part, index) => part.size === full || (index === list.parts.length - 1 && part.size < full),
  );
  if (!sizesFit) throw invalid(where, 'its parts are not of one size, but for the last');
  if (list.parts.reduce((sum, part) => sum + part.size, 0) !== list.size)
    throw invalid(where, 'its sizes do not add up');
  if (!encodePartList(list).equals(bytes)) throw invalid(where, 'it is not in its canonical form');
  return list;
}

/**
 * The list beside the parts of `base`; undefined where there is none.
 *
 * @throws EdgeBundleError BUNDLE_INVALID where it is malformed or is another bundle's, FILE_FAILED
 */
export async function readPartList(base: string): Promise<PartList | undefined> {
  const path = partListPath(base);
  let bytes: Buffer;
  try {
    const file = await open(path, 'r');
    try {
      // Before it is read: it may come from anybody's disk.
      const { size: listBytes } = await file.stat();
      if (listBytes > maxListBytes) throw invalid(`'${path}'`, tooLarge);
      bytes = await file.readFile();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw fileError(error, `cannot read '${path}'`);
  }
  const list = decodePartList(bytes, `'${path}'`);
  if (list.bundle === basename(base)) return list;
  throw invalid(`'${path}'`, `it is of '${list.bundle}'`);
}

/** Everything in which the parts that are there differ from those of the list, as far as names and sizes tell. */
export function differencesFrom(list: PartList, present: readonly PresentPart[], where: string): EdgeBundleError[] {
  const sizes = new Map(present.map((part) => [part.name, part.size]));
  const listed = new Set(list.parts.map(({ name }) => name));
  const count = `the bundle has ${list.parts.length} parts`;
  const failures = list.parts.flatMap(({ name, size: expected }) => {
    const actual = sizes.get(name);
    if (actual === expected) return [];
    return actual === undefined
      ? new EdgeBundleError('BUNDLE_PART_MISSING', `part '${name}' is missing in ${where}; ${count}`, {
          hint: 'Copy the missing part again.',
        })
      : new EdgeBundleError('BUNDLE_INVALID', `part '${name}' has ${actual} bytes; ${expected} are expected`, {
          hint:
            actual < expected
              ? 'It was cut short; copy it again.'
              : 'It belongs to another bundle, or to another split of this one; copy it again.',
        });
  });
  const extra = present.filter(({ name }) => !listed.has(name));
  return [
    ...failures,
    ...extra.map(
      ({ name }) =>
        new EdgeBundleError('BUNDLE_INVALID', `'${name}' is no part of the bundle in ${where}: ${count}`, {
          hint: 'It is left from something else; remove it.',
        }),
    ),
  ];
}

function invalid(where: string, reason: string, cause?: unknown): EdgeBundleError {
  return new EdgeBundleError('BUNDLE_INVALID', `the list of parts ${where} cannot be used: ${reason}`, {
    hint: 'Copy it again; without it, parts are read too, and only the content in them is checked.',
    cause,
  });
}
