/** What has an id, and for a delta the id of the bundle that it builds on. */
export interface Ordered {
  readonly id: string;
  readonly baseId: string | undefined;
}

/**
 * The bundles in an order in which each delta comes after its base, where that is among them; otherwise in the order in which
 * they were given. Bundles that build on each other in a circle keep theirs.
 */
export function orderBundles<T extends Ordered>(bundles: readonly T[]): readonly T[] {
  const byId = new Map(bundles.map((bundle) => [bundle.id, bundle]));
  const ordered = new Set<T>();
  const place = (bundle: T, above: ReadonlySet<T>): void => {
    if (ordered.has(bundle) || above.has(bundle)) return;
    const base = bundle.baseId === undefined ? undefined : byId.get(bundle.baseId);
    if (base !== undefined) place(base, new Set([...above, bundle]));
    ordered.add(bundle);
  };
  for (const bundle of bundles) place(bundle, new Set());
  return [...ordered];
}
