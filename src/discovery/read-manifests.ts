import { EdgeBundleError } from '../errors.ts';
import { fieldOf } from './plain-object.ts';
import { skimDefinition } from './skim-definition.ts';
import { parseManifest } from './parse-manifest.ts';

export interface ManifestDocument {
  /** A custom resource definition whose defaults cannot name an image has no `spec` in it. */
  readonly value: unknown;
  readonly kind?: string;
  /** `metadata.name`. */
  readonly name?: string;
  /** Where it starts in the text, from 1. */
  readonly line: number;
  /** The template that it comes from, where Helm wrote it: `chart/templates/deployment.yaml`. */
  readonly source?: string;
}

export interface Manifests {
  /** Those that can be read; empty ones are left out. */
  readonly documents: readonly ManifestDocument[];
  readonly problems: readonly EdgeBundleError[];
}

/** Helm keeps a release in a Secret, of 1 MiB when compressed: no chart comes near this. */
const maxBytes = 32 * 1024 * 1024;
const maxReported = 5;

/**
 * Reads what Helm renders, and manifests as people write them: YAML 1.2 in one document or many, with merge keys. Of keys
 * that stand twice the last one counts, and tags that are not known are ignored, as the API server has it.
 *
 * The problems, PROFILE_INVALID, name `where` and the line, and quote nothing of the text. A document that cannot be read,
 * or whose aliases make much of little, is one; the others are read all the same.
 */
export function readManifests(text: string, where: string): Manifests {
  const fail = (reason: string): EdgeBundleError => new EdgeBundleError('PROFILE_INVALID', `${where}: ${reason}`);
  const bytes = Buffer.byteLength(text);
  if (bytes > maxBytes) {
    return { documents: [], problems: [fail(`has ${bytes} bytes; at most ${maxBytes} bytes of YAML are read`)] };
  }
  const documents: ManifestDocument[] = [];
  const failures: string[] = [];
  let source: string | undefined;
  for (const part of split(text)) {
    source = sourceOf(part.text) ?? source;
    if (isBlank(part.text)) continue;
    const { values, failure } = parseManifest(skimDefinition(part.text));
    if (failure !== undefined) failures.push(`line ${part.line + failure.line}: ${failure.reason}`);
    for (const value of values) {
      const [kind, name] = [fieldOf(value, ['kind']), fieldOf(value, ['metadata', 'name'])];
      documents.push({
        value,
        line: part.line + leadingLines(part.text),
        ...(typeof kind === 'string' ? { kind } : {}),
        ...(typeof name === 'string' ? { name } : {}),
        ...(source === undefined ? {} : { source }),
      });
    }
  }
  const problems = failures.slice(0, maxReported).map(fail);
  if (failures.length > maxReported)
    problems.push(fail(`${failures.length - maxReported} more documents cannot be read`));
  return { documents, problems };
}

interface Part {
  readonly text: string;
  /** Of its first character, from 1. */
  readonly line: number;
}

/** Cuts at the markers: a line that starts with `---` is one wherever it stands (YAML 1.2.2, 9.1.2). */
function* split(text: string): Generator<Part> {
  let line = 1;
  let start = text.startsWith('\uFEFF') ? 1 : 0;
  for (const match of text.matchAll(/^---(?=\s|$)/gm)) {
    const part = text.slice(start, match.index);
    yield { text: part, line };
    line += countLines(part);
    start = match.index + 3;
  }
  yield { text: text.slice(start), line };
}

function countLines(text: string): number {
  let count = 0;
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) count += 1;
  return count;
}

/** How many lines there are before the first one with content. */
function leadingLines(text: string): number {
  return countLines(/^(?:[ \t]*(?:#[^\n]*)?\r?\n)*/.exec(text)?.[0] ?? '');
}

/** Only comments, and directives: their documents follow the next marker. */
function isBlank(text: string): boolean {
  return !/^[ \t]*[^\s#%]/m.test(text);
}

function sourceOf(text: string): string | undefined {
  const comments = /^(?:[ \t]*(?:#[^\n]*)?\r?\n)*/.exec(text)?.[0] ?? '';
  return /^# Source: (\S.*?)\s*$/m.exec(comments)?.[1];
}
