export type PlainObject = Readonly<Record<string, unknown>>;

/** Whether `value` is an object of JSON. */
export function isPlainObject(value: unknown): value is PlainObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What stands at `path` in `object`; undefined for what is absent, null or an empty text. */
export function fieldOf(object: unknown, path: readonly string[]): unknown {
  let value = object;
  for (const key of path) value = isPlainObject(value) ? value[key] : undefined;
  return value === '' || value === null ? undefined : value;
}
