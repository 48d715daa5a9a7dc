/** JSON as Go's `encoding/json` writes it: compact, with the characters escaped that mean something in HTML and JavaScript. */
export function goJson(value: unknown): Buffer {
  const text = JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
  return Buffer.from(text, 'utf8');
}

/** The members in the order of their names: how Go writes a `map`. */
export function sortMembers<T>(members: Readonly<Record<string, T>>): Record<string, T> {
  const compare = (one: string, other: string): number => Buffer.compare(Buffer.from(one), Buffer.from(other));
  return Object.fromEntries(Object.entries(members).sort(([one], [other]) => compare(one, other)));
}
