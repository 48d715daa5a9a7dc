import { type Document, isMap, LineCounter, parseAllDocuments } from 'yaml';

import { type EdgeBundleError, errorMessage } from '../errors.ts';
import { maskMacros } from './macros.ts';
import { problem } from './problems.ts';

/** Parsing takes seconds and some hundred times its size in memory: what is larger is no profile. */
export const maxYamlBytes = 4 * 1024 * 1024;
const maxAliasCount = 100;
const maxReported = 5;

export interface YamlText {
  /** The values of the documents that are not empty; none where there are problems. */
  readonly documents: readonly unknown[];
  /** Whether the first document is, or tries to be, a mapping. */
  readonly startsWithMapping: boolean;
  readonly problems: readonly EdgeBundleError[];
}

/**
 * Reads YAML 1.2 with merge keys (which Kubernetes reads too), one document or many. Macros stay as they are written.
 * `where` names the text in the problems; they quote none of it, because values hold passwords.
 */
export function parseYaml(text: string, where: string): YamlText {
  const bytes = Buffer.byteLength(text);
  if (bytes > maxYamlBytes) {
    const reason = `has ${bytes} bytes; at most ${maxYamlBytes} bytes of YAML are read`;
    return { documents: [], startsWithMapping: true, problems: [problem(where, reason)] };
  }
  const masked = maskMacros(text);
  const lines = new LineCounter();
  const options = {
    merge: true,
    stringKeys: true,
    prettyErrors: false,
    logLevel: 'error',
    lineCounter: lines,
  } as const;
  const parsed: readonly Document.Parsed[] = parseAllDocuments(masked.text, options);
  const startsWithMapping = isMap(parsed[0]?.contents);
  const errors = parsed.flatMap((document) => document.errors);
  const problems = errors.slice(0, maxReported).map(({ message, pos }) => {
    const { line, col } = lines.linePos(pos[0]);
    return problem(where, `line ${line}, column ${col}: ${message}`);
  });
  if (errors.length > maxReported) problems.push(problem(where, `${errors.length - maxReported} more errors`));
  if (errors.length > 0) return { documents: [], startsWithMapping, problems };

  const reviver = (_key: unknown, value: unknown): unknown =>
    typeof value === 'string' ? masked.unmask(value) : value;
  try {
    const documents = parsed.filter(({ contents }) => contents !== null).map((document) => toValue(document, reviver));
    return { documents, startsWithMapping, problems };
  } catch (cause) {
    return { documents: [], startsWithMapping, problems: [problem(where, errorMessage(cause), { cause })] };
  }
}

function toValue(document: Document.Parsed, reviver: (key: unknown, value: unknown) => unknown): unknown {
  return document.toJS({ maxAliasCount, reviver });
}
