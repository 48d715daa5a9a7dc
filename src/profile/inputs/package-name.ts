import * as z from 'zod';

import { errorMessage } from '../../errors.ts';
import { combineProblems, formatPath, problem } from '../problems.ts';
import type { PackageInput } from '../profile-kinds.ts';
import { parseYaml } from '../yaml-text.ts';

/** The file that makes a folder or an archive a pack or a chart. A pack is told first: it may hold charts. */
export const packageFiles = [
  { kind: 'pack', file: 'pack.json' },
  { kind: 'chart', file: 'Chart.yaml' },
] as const satisfies readonly { kind: PackageInput['kind']; file: string }[];

const nameSchema = z.looseObject({ name: z.string().min(1), version: z.string().min(1) });

/**
 * Name and version in a `pack.json` or a `Chart.yaml`; `where` names the file in errors.
 *
 * @throws EdgeBundleError PROFILE_INVALID
 */
export function readPackageName(
  kind: PackageInput['kind'],
  bytes: Buffer,
  where: string,
): { name: string; version: string } {
  const result = nameSchema.safeParse(kind === 'pack' ? readJson(bytes, where) : readYaml(bytes, where));
  if (result.success) return { name: result.data.name, version: result.data.version };
  const problems = result.error.issues.map(({ path, message }) => {
    return problem(path.length === 0 ? where : `${where}, ${formatPath(path)}`, message);
  });
  throw combineProblems(where, problems);
}

function readJson(bytes: Buffer, where: string): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw problem(where, `is not JSON: ${errorMessage(cause)}`, { cause });
  }
}

function readYaml(bytes: Buffer, where: string): unknown {
  const { documents, problems } = parseYaml(bytes.toString('utf8'), where);
  if (problems.length > 0) throw combineProblems(where, problems);
  return documents[0];
}
