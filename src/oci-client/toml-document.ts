import { parse, TomlError } from 'smol-toml';
import type * as z from 'zod';

import { EdgeBundleError } from '../errors.ts';

/**
 * A configuration file in TOML 1.0, by `schema`. Errors name the place and have no cause: the parser's would quote the
 * text, and that may hold a secret.
 *
 * @throws EdgeBundleError CONFIG_INVALID
 */
export function parseToml<T>(text: string, schema: z.ZodType<T>, path: string): T {
  let document: unknown;
  try {
    document = parse(text);
  } catch (error) {
    const where = error instanceof TomlError ? ` in line ${error.line}, column ${error.column}` : '';
    throw new EdgeBundleError('CONFIG_INVALID', `'${path}' is not TOML${where}`);
  }
  const result = schema.safeParse(document);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new EdgeBundleError(
    'CONFIG_INVALID',
    `'${path}': at '${issue?.path.join('.') ?? ''}': ${issue?.message ?? 'it is malformed'}`,
  );
}
