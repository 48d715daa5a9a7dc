import { EdgeBundleError } from '../errors.ts';

/** Deeper than anything real: manifests nest five deep. */
const maxDepth = 128;

const [quote, backslash, colon, openArray, closeArray, openObject, closeObject] = [
  0x22, 0x5c, 0x3a, 0x5b, 0x5d, 0x7b, 0x7d,
];

interface OpenObject {
  /** In the form that makes them equal; made with the first one. */
  names: Set<string> | undefined;
  /** Its members may have any names, as those of annotations. */
  readonly isMap: boolean;
}

/** @param what names the text. @throws EdgeBundleError CONTENT_INVALID where not all readers see the same in it */
export function ensureUnambiguous(text: string, what: string): void {
  const reason = findAmbiguity(text);
  if (reason !== undefined) throw new EdgeBundleError('CONTENT_INVALID', `${what} cannot be relied on: ${reason}`);
}

/**
 * What makes readers of one JSON text see different things in it, where there is such a thing; undefined where all see the
 * same. RFC 8259, section 4: what a name means that is there twice is for each reader to say. Readers in Go, as registries
 * and containerd are, also take `Layers` for `layers`, but in maps, as annotations are.
 *
 * @param text is JSON already: `JSON.parse` has taken it, or is going to refuse it
 */
function findAmbiguity(text: string): string | undefined {
  const open: (OpenObject | undefined)[] = [];
  let name = '';
  for (let at = 0; at < text.length; at += 1) {
    switch (text.charCodeAt(at)) {
      case quote: {
        const end = endOfString(text, at);
        const object = open.at(-1);
        if (object !== undefined && isName(text, end)) {
          name = unquoted(text, at, end);
          // In this order, because `ſ` has no lower case, and the sign for kelvin no upper one.
          const key = object.isMap ? name : name.toUpperCase().toLowerCase();
          object.names ??= new Set();
          if (object.names.has(key)) return `it has the member ${JSON.stringify(name.slice(0, 160))} twice`;
          object.names.add(key);
        }
        at = end;
        break;
      }
      case openObject:
        open.push({ names: undefined, isMap: name === 'annotations' });
        name = '';
        break;
      case openArray:
        open.push(undefined);
        name = '';
        break;
      case closeObject:
      case closeArray:
        open.pop();
        break;
    }
    if (open.length > maxDepth) return `it is nested more than ${maxDepth} deep`;
  }
  return undefined;
}

/** Where the string ends that begins at `start`: at its closing quote. */
function endOfString(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let slashes = 0;
    while (text.charCodeAt(at - 1 - slashes) === backslash) slashes += 1;
    if (slashes % 2 === 0) return at;
  }
  return text.length;
}

function isName(text: string, end: number): boolean {
  let at = end + 1;
  while (isWhiteSpace(text.charCodeAt(at))) at += 1;
  return text.charCodeAt(at) === colon;
}

function isWhiteSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

/** `\u0061` is `a`. */
function unquoted(text: string, start: number, end: number): string {
  const inner = text.slice(start + 1, end);
  if (!inner.includes('\\')) return inner;
  try {
    return JSON.parse(text.slice(start, end + 1)) as string;
  } catch {
    return inner;
  }
}
