import { readFile, stat } from 'node:fs/promises';

import { EdgeBundleError } from '../../errors.ts';
import { fileError } from '../../files/file-error.ts';
import { isMapping } from '../dotted-path.ts';
import { combineProblems, formatPath, problem } from '../problems.ts';
import { inexactNumber } from '../inexact-number.ts';
import { maxYamlBytes, parseYaml } from '../yaml-text.ts';

/** The name of a variable, or `macro.` and that of a macro, or `system.` and that of a system macro; with its value. */
export type GivenValue = readonly [name: string, value: string];

/**
 * Reads `NAME=VALUE`. The text is not quoted in the error: it may be a password.
 *
 * @throws EdgeBundleError USAGE
 */
export function parseGivenValue(text: string): GivenValue {
  const [, name, value] = /^([A-Za-z0-9_][^\s=]*)=(.*)$/s.exec(text) ?? [];
  if (name !== undefined && value !== undefined) return [name, value];
  throw new EdgeBundleError('USAGE', "a variable's value is given as NAME=VALUE", {
    hint: 'For example podCidr=10.0.0.0/16, macro.registry=harbor.example or system.cluster.name=store-1.',
  });
}

/**
 * Reads a file of values: a mapping in YAML or JSON, `podCidr: 10.0.0.0/16`; the names of macros are written with dots
 * (`macro.registry: …`) or nested (`macro: {registry: …}`).
 *
 * @throws EdgeBundleError PROFILE_INVALID, all problems together; FILE_FAILED
 */
export async function readGivenValues(file: string): Promise<GivenValue[]> {
  const where = `'${file}'`;
  const { documents, problems } = parseYaml(await readText(file), where, { marksInexactNumbers: true });
  if (problems.length > 0) throw combineProblems(where, problems);
  const [values = {}, ...others] = documents;
  if (!isMapping(values) || others.length > 0) throw problem(where, 'expected a mapping of names to values');
  const found: GivenValue[] = [];
  const refused: EdgeBundleError[] = [];
  collect(values, [], (path, value) => {
    const text = scalarText(value);
    if (text === undefined) refused.push(problem(`${where}#${formatPath(path)}`, 'is no text; put it in quotes'));
    else found.push([path.join('.'), text]);
  });
  if (refused.length > 0) throw combineProblems(where, refused);
  return found;
}

function collect(
  value: unknown,
  path: readonly string[],
  onValue: (path: readonly string[], value: unknown) => void,
): void {
  if (!isMapping(value)) onValue(path, value);
  else for (const [key, member] of Object.entries(value)) collect(member, [...path, key], onValue);
}

function scalarText(value: unknown): string | undefined {
  if (value === null) return '';
  if (value === inexactNumber) return undefined;
  return typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number'
    ? String(value)
    : undefined;
}

async function readText(file: string): Promise<string> {
  try {
    const { size } = await stat(file);
    if (size > maxYamlBytes) throw problem(`'${file}'`, `has ${size} bytes; at most ${maxYamlBytes} are read`);
    return await readFile(file, 'utf8');
  } catch (error) {
    throw fileError(error, `cannot read '${file}'`);
  }
}
