import { isPlainObject } from './plain-object.ts';
import { readManifests } from './read-manifests.ts';

/** The objects and lists in `text`, where it is JSON or YAML that may name an image; undefined where it is not. */
export function parseDocuments(text: string): unknown[] | undefined {
  if (!/image|repo|registry|hub/i.test(text) && !(text.includes('/') && /[:@]/.test(text))) return undefined;
  const documents =
    text.startsWith('{') || text.startsWith('[') ? (parseJson(text) ?? parseYaml(text)) : parseYaml(text);
  return documents?.some((value) => isPlainObject(value) || Array.isArray(value)) === true ? documents : undefined;
}

function parseJson(text: string): unknown[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return [value];
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function parseYaml(text: string): unknown[] | undefined {
  if (!startsAsYaml(text)) return undefined;
  const { documents, problems } = readManifests(text, 'a text');
  return problems.length === 0 ? documents.map(({ value }) => value) : undefined;
}

/** Scripts are YAML too, of one long string: most of them need not be parsed to see it. */
function startsAsYaml(text: string): boolean {
  for (let start = 0; start < text.length;) {
    const newline = text.indexOf('\n', start);
    const end = newline === -1 ? text.length : newline;
    const line = text.slice(start, Math.min(end, start + 200)).trim();
    if (line !== '' && !line.startsWith('#') && !line.startsWith('---')) {
      return /^(- |[{[]|["']?[\w./-]+["']?\s*:(\s|$))/.test(line);
    }
    start = end + 1;
  }
  return false;
}
