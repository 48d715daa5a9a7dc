import { type Document, isMap, isScalar, LineCounter, parseAllDocuments, type SchemaOptions, visit } from 'yaml';

import { depthInDoubt } from '../content/yaml-depth.ts';
import { optionsFor, whyUnreadableYaml } from '../content/yaml-limits.ts';
import { type EdgeBundleError, errorMessage } from '../errors.ts';
import { inexactNumber } from './inexact-number.ts';
import { maskMacros } from './macros/macro-text.ts';
import { problem } from './problems.ts';
import { readSimpleYaml } from './simple-yaml.ts';
import { plainWords } from './yaml-schema.ts';

/** Parsing takes seconds and some hundred times its size in memory: what is larger is no profile. */
export const maxYamlBytes = 4 * 1024 * 1024;
const maxAliasCount = 100;
const maxReported = 5;

export interface YamlOptions {
  /** Of keys that stand twice in a mapping, the last one counts, as in Helm, with a warning. Default: they are problems. */
  readonly allowsDuplicateKeys?: boolean | undefined;
  /** Numbers that are not printed as they are written become `inexactNumber`. Default: false. */
  readonly marksInexactNumbers?: boolean | undefined;
}

export interface YamlText {
  /** The values of the documents that are not empty; none where there are problems. */
  readonly documents: readonly unknown[];
  /** Whether the first document that is not empty is, or tries to be, a mapping. */
  readonly startsWithMapping: boolean;
  readonly problems: readonly EdgeBundleError[];
  readonly warnings: readonly string[];
}

/**
 * Reads YAML as Helm does (see `yaml-schema.ts`), one document or many. Macros that are not resolved stay as they are
 * written. `where` names the text in the problems; they quote none of it, because values hold passwords.
 */
export function parseYaml(text: string, where: string, options: YamlOptions = {}): YamlText {
  const bytes = Buffer.byteLength(text);
  if (bytes > maxYamlBytes) {
    const reason = `has ${bytes} bytes; at most ${maxYamlBytes} bytes of YAML are read`;
    return { documents: [], startsWithMapping: true, problems: [problem(where, reason)], warnings: [] };
  }
  const simple = readSimpleYaml(text, options);
  if (simple !== undefined) {
    const [first] = simple;
    const startsWithMapping = typeof first === 'object' && first !== null && !Array.isArray(first);
    return { documents: simple, startsWithMapping, problems: [], warnings: [] };
  }
  const masked = maskMacros(text);
  const obstacle = whyUnreadableYaml(masked.text, options);
  if (obstacle !== undefined) {
    const startsWithMapping = beginsWithMapping(masked.text);
    return { documents: [], startsWithMapping, problems: [problem(where, obstacle)], warnings: [] };
  }
  const lines = new LineCounter();
  const parsed: readonly Document.Parsed[] = parseAllDocuments(masked.text, {
    ...kubernetesYaml,
    ...optionsFor(masked.text),
    stringKeys: true,
    logLevel: 'error',
    lineCounter: lines,
  });
  const startsWithMapping = isMap(firstContents(parsed));
  const describe = ({ message, pos }: { message: string; pos: readonly [number, number] }): string => {
    const { line, col } = lines.linePos(pos[0]);
    return `line ${line}, column ${col}: ${withoutContent(message)}`;
  };
  const found = parsed.flatMap((document) => document.errors);
  const isWarning = ({ code }: { code: string }): boolean =>
    options.allowsDuplicateKeys === true && code === 'DUPLICATE_KEY';
  const warnings = found.filter(isWarning).map((error) => `${where}: ${describe(error)}; the last one counts`);
  const untold = options.allowsDuplicateKeys === true ? whyUnreadableYaml(masked.text) : undefined;
  if (untold !== undefined) warnings.push(`${where}: ${untold}; the last one counts`);
  const errors = found.filter((error) => !isWarning(error));
  const problems = errors.slice(0, maxReported).map((error) => problem(where, describe(error)));
  if (errors.length > maxReported) problems.push(problem(where, `${errors.length - maxReported} more errors`));
  if (errors.length > 0) return { documents: [], startsWithMapping, problems, warnings };

  if (options.marksInexactNumbers === true) for (const document of parsed) markInexactNumbers(document);
  const reviver = (_key: unknown, value: unknown): unknown =>
    typeof value === 'string' ? masked.unmask(value) : value;
  try {
    const documents = parsed
      .filter(({ contents }) => contents !== null && !isNull(contents))
      .map((document): unknown => document.toJS({ maxAliasCount, reviver }));
    return { documents, startsWithMapping, problems, warnings };
  } catch (error) {
    const reason = withoutContent(errorMessage(error));
    return { documents: [], startsWithMapping, problems: [problem(where, reason)], warnings };
  }
}

const kubernetesYaml: SchemaOptions = {
  schema: 'failsafe',
  merge: true,
  customTags: plainWords.map(({ type, test, resolve }) => ({
    tag: `tag:yaml.org,2002:${type}`,
    default: true,
    test,
    resolve,
  })),
};

/** Of a text that is not read: its first lines tell. What may be nested too deep in these is no list of references. */
function beginsWithMapping(text: string): boolean {
  const beginning = text.slice(0, 4096).replace(/\n[^\n]*$/, '\n');
  if (depthInDoubt(beginning) !== undefined) return true;
  return isMap(
    firstContents(parseAllDocuments(beginning, { ...kubernetesYaml, prettyErrors: false, logLevel: 'error' })),
  );
}

function firstContents(documents: readonly Document.Parsed[]): Document.Parsed['contents'] | undefined {
  return documents.find(({ contents }) => contents !== null && !isNull(contents))?.contents;
}

/** The message of the YAML library without what it quotes. */
function withoutContent(message: string): string {
  return message
    .replace(/^(.*(?:extra characters|tag|alias \([^)]*\))): [\s\S]*$/i, '$1')
    .replace(/^(Unsupported YAML version|Unknown directive) [\s\S]*$/, '$1')
    .replace(/^(?:The \S+ tag has|Verbatim tags)[\s\S]*$/, 'The tag is not valid');
}

function markInexactNumbers(document: Document.Parsed): void {
  visit(document, {
    Scalar: (_key, node) => {
      if (typeof node.value === 'number' && String(node.value) !== node.source) node.value = inexactNumber;
    },
  });
}

/** An empty document has a null in place of its content. */
function isNull(node: unknown): boolean {
  return isScalar(node) && node.value === null && node.source === '';
}
