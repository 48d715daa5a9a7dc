import { createHash } from 'node:crypto';

import { formatPath } from '../problems.ts';

/**
 * What stands in a text for a macro whose value is not known. A `word` is found again by `placeholdersIn`, in whatever a
 * chart makes of it. The others are for a second look: what changes when they stand there depends on the macro.
 */
export type PlaceholderStyle = 'word' | 'otherWord' | 'number' | 'empty';

const words = { word: 'unresolvedmacro', otherWord: 'anothermacro' } as const;
const wordPattern = /(?:unresolved|another)macro[0-9a-f]{10}/gi;

/**
 * The placeholder of a macro, always the same one. A word is lower-case letters and digits, 23 to 25 of them: a plain
 * scalar of YAML, and good anywhere in an image reference but for the port. A number has five digits, as a port may.
 */
export function placeholderFor(macro: string, style: PlaceholderStyle): string {
  if (style === 'empty') return '';
  const hash = createHash('sha256').update(macro.trim()).digest('hex');
  return style === 'number'
    ? String(10_000 + (parseInt(hash.slice(0, 8), 16) % 50_000))
    : words[style] + hash.slice(0, 10);
}

/** The placeholder words in a string, or in all strings and keys of a value; each once, in lower case. */
export function placeholdersIn(value: unknown): string[] {
  const found = new Set<string>();
  visit(value, [], (text) => {
    for (const [word] of text.matchAll(wordPattern)) found.add(word.toLowerCase());
  });
  return [...found];
}

/** Where a placeholder word stands in values: `charts.web.image.tag`; in a key, the path of that key. */
export function pathsOf(placeholder: string, value: unknown): string[] {
  const found = new Set<string>();
  visit(value, [], (text, path) => {
    if (text.toLowerCase().includes(placeholder)) found.add(formatPath(path));
  });
  return [...found];
}

function visit(
  value: unknown,
  path: readonly PropertyKey[],
  onText: (text: string, path: readonly PropertyKey[]) => void,
): void {
  if (typeof value === 'string') onText(value, path);
  if (typeof value !== 'object' || value === null) return;
  const isList = Array.isArray(value);
  for (const [key, member] of Object.entries(value)) {
    const memberPath = [...path, isList ? Number(key) : key];
    if (!isList) onText(key, memberPath);
    visit(member, memberPath, onText);
  }
}
