// Custom resource definitions are nine tenths of what charts render, megabytes of schemas, and of a schema only the
// defaults count. Looking for those in the text first takes a quarter of the time that parsing takes.

/**
 * The text of one document, without its `spec` where it is a custom resource definition and none of its defaults can
 * name an image. In doubt the text stays as it is.
 */
export function skimDefinition(text: string): string {
  return withoutSpec(text, (spec) => !hasDoubtfulDefault(spec));
}

/**
 * The same for a template that makes definitions: Helm is much quicker without what it would only print. A `spec` that
 * actions of the template are part of stays.
 */
export function skimTemplate(text: string): string {
  const parts = text.split(/^(?=---(?:\s|$))/m);
  const canGo = (spec: string, after: string): boolean =>
    !/\{\{|[:-] +&/.test(spec) && !hasDoubtfulDefault(spec) && !isContinued(after);
  return parts.map((part) => withoutSpec(part, canGo)).join('');
}

/** Whether lines of the `spec` follow an action that stands at the beginning of a line: that looks like its end. */
function isContinued(after: string): boolean {
  for (const line of after.split('\n').slice(1)) {
    if (line.trim() === '') continue;
    if (!line.startsWith('{{')) return /^[\s#-]/.test(line);
    if (!line.trimEnd().endsWith('}}')) return true;
  }
  return false;
}

function withoutSpec(document: string, canGo: (spec: string, after: string) => boolean): string {
  if (!/^kind: *CustomResourceDefinition *\r?$/m.test(document)) return document;
  const start = document.search(/^spec: *\r?$/m);
  if (start === -1) return document;
  const next = /\n(?=[^\s#-])/g;
  next.lastIndex = start;
  const end = next.exec(document)?.index ?? document.length;
  const spec = document.slice(start, end);
  return canGo(spec, document.slice(end)) ? document.slice(0, start) + document.slice(end) : document;
}

/** Whether there is a `default` that may be an image, hold one, or be a part of one. */
function hasDoubtfulDefault(spec: string): boolean {
  let dependsOnLayout = spec.includes('\\u') || spec.includes('\\x');
  for (let at = spec.indexOf('default'); at !== -1; at = spec.indexOf('default', at + 1)) {
    const lineStart = spec.lastIndexOf('\n', at) + 1;
    const before = spec.slice(lineStart, at);
    if (/^\s*(?:- +)*\?\s+["']?$/.test(before)) return true;
    const lineEnd = endOfLine(spec, at);
    const value = /^default["']?\s*:(?:\s(.*))?$/.exec(spec.slice(at, lineEnd).trimEnd());
    if (value === null) continue;
    if (/[{,]\s*["']?$/.test(before)) return true;
    if (!/^\s*(?:- +)*["']?$/.test(before) || harmless.test(value[1]?.trim() ?? '')) continue;
    const indent = before.replace(/["']$/, '').length;
    if (partOfImage.test(parentLine(spec, lineStart, indent))) return true;
    if (mayHoldImage(`${value[1] ?? ''}${blockBelow(spec, lineEnd, indent)}`)) return true;
    dependsOnLayout = true;
  }
  return dependsOnLayout && misleads(spec);
}

/** Whether indents do not tell what belongs to what: aliases, merges, escaped keys, flow collections over several lines. */
function misleads(spec: string): boolean {
  if (/<<|: +\*|\\[ux]/.test(spec)) return true;
  for (const mark of ['{', '[', '*']) {
    for (let at = spec.indexOf(mark); at !== -1; at = spec.indexOf(mark, at + 1)) {
      const before = spec.slice(spec.lastIndexOf('\n', spec.lastIndexOf('\n', at) - 1) + 1, at);
      const after = spec.slice(at + 1, endOfLine(spec, at));
      const isOpen = mark === '*' ? /^[\w-]+\s*$/.test(after) : !/[}\]],?\s*$/.test(after);
      if (isOpen && startsValue.test(before)) return true;
    }
  }
  return false;
}

/** Two lines up to where a value starts: after a key, also on the line before, or after the dash of a list's item. */
const startsValue = /(?:^|\n)[ \t]*(?:- +)*["']?[\w.$-]+["']?:[ \t]*(?:\r?\n[ \t]*)?$|(?:^|\n)[ \t]*(?:- +)+$/;

/** Booleans, numbers, words with capitals, and what is empty. */
const harmless = /^(?:true|false|null|~|-?\d[\d.]*|(["']?)[A-Z][A-Za-z]*\1|""|''|\{ *\}|\[ *\])$/;

/** Keys of what an image is composed of; and the members of lists and maps, which have no key of their own. */
const partOfImage = /image|repo|registry|hub|name|tag|version|digest|sha|base|items|additionalProperties/i;

function mayHoldImage(text: string): boolean {
  return /image|repo|registry|hub|base/i.test(text) || (text.includes('/') && /[:@]/.test(text));
}

/** The nearest line above that is indented less: the key of the property. */
function parentLine(text: string, lineStart: number, indent: number): string {
  for (let end = lineStart - 1; end > 0;) {
    const start = text.lastIndexOf('\n', end - 1) + 1;
    const line = text.slice(start, end);
    if (/\S/.test(line) && indentOf(line) < indent) return line;
    end = start - 1;
  }
  return '';
}

/** The lines below that belong to a key: indented more, or items of a list at the same place. */
function blockBelow(text: string, lineEnd: number, indent: number): string {
  let end = lineEnd;
  while (end < text.length) {
    const next = endOfLine(text, end + 1);
    const line = text.slice(end + 1, next);
    const itsIndent = indentOf(line);
    if (/\S/.test(line) && (itsIndent < indent || (itsIndent === indent && !/^\s*-(?:\s|$)/.test(line)))) break;
    end = next;
  }
  return text.slice(lineEnd, end);
}

function indentOf(line: string): number {
  return line.search(/\S|$/);
}

function endOfLine(text: string, from: number): number {
  const newline = text.indexOf('\n', from);
  return newline === -1 ? text.length : newline;
}
