import { readFile } from 'node:fs/promises';

import { parse, stringify } from 'yaml';
import * as z from 'zod';

import { digestSchema } from '../content/descriptor.ts';
import type { Digest } from '../content/digest.ts';
import { optionsFor, whyUnreadableYaml } from '../content/yaml-limits.ts';
import { EdgeBundleError, errorMessage, systemErrorCode } from '../errors.ts';
import { writeFileAtomic } from '../files/atomic-file.ts';
import { fileError } from '../files/file-error.ts';

/** Which digest each reference stood for, in normal form. */
export type Lock = ReadonlyMap<string, Digest>;

/** A reference whose tag leads to something else than it did when it was locked. */
export interface MovedReference {
  readonly reference: string;
  readonly locked: Digest;
  readonly found: Digest;
}

const lockSchema = z.strictObject({ version: z.literal(1), digests: z.record(z.string(), digestSchema) });

/**
 * Reads a lock file; undefined where there is none yet.
 *
 * @throws EdgeBundleError CONFIG_INVALID, FILE_FAILED
 */
export async function readLock(path: string): Promise<Lock | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw fileError(error, `cannot read the lock file '${path}'`);
  }
  return new Map(Object.entries(parseLock(text, path).digests));
}

/**
 * Writes a lock file, sorted, so that its differences are easy to review.
 *
 * @throws EdgeBundleError NO_SPACE, FILE_FAILED
 */
export async function writeLock(path: string, lock: Lock): Promise<void> {
  const sorted = [...lock].sort(([one], [other]) => (one < other ? -1 : 1));
  const comment =
    '# What each reference stood for. Made by edge-bundle; check it in, and remove a line to take what is newest.\n';
  await writeFileAtomic(
    path,
    comment + stringify({ version: 1, digests: Object.fromEntries(sorted) }, { lineWidth: 0 }),
  );
}

/** @throws EdgeBundleError CONFIG_INVALID */
export function parseLock(text: string, path: string): z.infer<typeof lockSchema> {
  try {
    const obstacle = whyUnreadableYaml(text);
    if (obstacle !== undefined) throw new Error(obstacle);
    return lockSchema.parse(
      parse(text, { stringKeys: true, maxAliasCount: 0, logLevel: 'error', ...optionsFor(text) }),
    );
  } catch (cause) {
    const reason = cause instanceof z.ZodError ? z.prettifyError(cause) : errorMessage(cause);
    throw new EdgeBundleError('CONFIG_INVALID', `the lock file '${path}' cannot be read: ${reason}`, {
      hint: 'Take the version that was checked in, or remove the file: the next run makes it anew.',
      cause,
    });
  }
}
