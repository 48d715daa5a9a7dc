/**
 * Scopes of Docker's token specification (`repository:library/nginx:pull,push`), each resource once, with all actions
 * that are asked for, in the order in which they come first.
 */
export function mergeScopes(scopes: readonly string[]): readonly string[] {
  const actionsOf = new Map<string, Set<string>>();
  for (const scope of scopes) {
    const colon = scope.lastIndexOf(':');
    const resource = scope.slice(0, Math.max(colon, 0));
    const actions = actionsOf.get(resource) ?? new Set<string>();
    for (const action of scope.slice(colon + 1).split(',')) if (action !== '') actions.add(action);
    actionsOf.set(resource, actions);
  }
  return [...actionsOf]
    .filter(([resource, actions]) => resource !== '' && actions.size > 0)
    .map(([resource, actions]) => `${resource}:${[...actions].join(',')}`);
}
