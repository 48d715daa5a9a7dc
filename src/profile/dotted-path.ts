/**
 * The keys that `path` leads along in nested mappings, where keys may hold dots themselves: of several ways, the one with
 * the longest keys first (`options.system.uri` is `options`, `system.uri`). Undefined where it leads to nothing.
 */
export function findDottedPath(value: unknown, path: string): readonly string[] | undefined {
  return find(value, path.split('.'));
}

/** The own member `key` of a mapping; undefined for anything else. */
export function member(value: unknown, key: string): unknown {
  return isMapping(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}

export function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function find(value: unknown, parts: readonly string[]): readonly string[] | undefined {
  if (parts.length === 0) return [];
  if (!isMapping(value)) return undefined;
  for (let count = parts.length; count > 0; count -= 1) {
    const key = parts.slice(0, count).join('.');
    if (!Object.hasOwn(value, key)) continue;
    const rest = find(value[key], parts.slice(count));
    if (rest !== undefined) return [key, ...rest];
  }
  return undefined;
}
