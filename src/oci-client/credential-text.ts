import { readFile } from 'node:fs/promises';

import type * as z from 'zod';

import { EdgeBundleError, systemErrorCode } from '../errors.ts';
import { fileError } from '../files/file-error.ts';
import { parseRegistry } from './reference.ts';

/** The text of a file that holds credentials; undefined where there is none. @throws EdgeBundleError FILE_FAILED */
export async function readCredentialText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw fileError(error, `cannot read the credentials in '${path}'`);
  }
}

/**
 * `text` by `schema`. The error names the place and the reason and has no cause: the message of a JSON parser quotes
 * what it reads, and this is secret.
 *
 * @throws EdgeBundleError CREDENTIALS_INVALID
 */
export function parseCredentialText<T>(text: string, schema: z.ZodType<T>, origin: string): T {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw invalidCredentials(origin, 'it is not JSON');
  }
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw invalidCredentials(origin, `at '${issue?.path.join('.') ?? ''}': ${issue?.message ?? 'unknown'}`);
}

export function invalidCredentials(origin: string, reason: string): EdgeBundleError {
  return new EdgeBundleError('CREDENTIALS_INVALID', `${origin} holds no credentials that can be read: ${reason}`);
}

/** The registry that a key of a credentials file names (`https://index.docker.io/v1/`, `ghcr.io`), where it is one. */
export function registryOfKey(key: string): string | undefined {
  const host = key.replace(/^[a-z]+:\/\//, '').replace(/\/.*$/, '');
  try {
    return parseRegistry(host);
  } catch {
    return undefined;
  }
}
