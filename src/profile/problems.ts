import { combineFailures, EdgeBundleError, type EdgeBundleErrorOptions } from '../errors.ts';

/** One thing that is wrong with a profile; `where` names the profile or pack and the path in it. */
export function problem(where: string, reason: string, options?: EdgeBundleErrorOptions): EdgeBundleError {
  return new EdgeBundleError('PROFILE_INVALID', `${where}: ${reason}`, options);
}

/** A single problem as it is; several as the failures of one error. */
export function combineProblems(what: string, problems: readonly EdgeBundleError[]): EdgeBundleError {
  const [first, ...others] = problems;
  if (first !== undefined && others.length === 0) return first;
  return combineFailures('PROFILE_INVALID', `${what}: ${problems.length} problems`, problems);
}

/** `['spec', 'packs', 0, 'name']` as `spec.packs[0].name`. */
export function formatPath(path: readonly PropertyKey[]): string {
  return path
    .map((key, index) => (typeof key === 'number' ? `[${key}]` : `${index === 0 ? '' : '.'}${String(key)}`))
    .join('');
}
