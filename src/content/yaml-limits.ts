import { FAILSAFE_SCHEMA, loadAll, type LoadOptions, Type, YAMLException } from 'js-yaml';

import { depthInDoubt, maxDepth } from './yaml-depth.ts';

/** What is this long, and wrong, is not worth a list of all that is wrong in it. */
const longText = 64 * 1024;

const schema = FAILSAFE_SCHEMA.extend({
  explicit: (['scalar', 'sequence', 'mapping'] as const).map((kind) => new Type('', { kind, multi: true })),
});

interface CheckOptions extends LoadOptions {
  /** js-yaml 4.3 has it, and its types do not. */
  readonly maxDepth: number;
}

export interface YamlLimits {
  /** Of keys that stand twice in a mapping, the last one counts. Default: that is a mistake. */
  readonly allowsDuplicateKeys?: boolean | undefined;
}

/**
 * Why `text` is not given to the library `yaml`, which reads what people write and tells all that is wrong in it: 4 MB of
 * mistakes took 4 GB and 20 seconds, and what is nested too deep the process. A text that is long, or may be nested too deep, is
 * read by js-yaml first, which counts how deep it is, and stops at the first mistake. Quotes nothing of the text. Undefined where
 * it can be read, with `optionsFor(text)`.
 */
export function whyUnreadableYaml(text: string, { allowsDuplicateKeys = false }: YamlLimits = {}): string | undefined {
  if (!isReadTwice(text)) return undefined;
  const options: CheckOptions = { schema, json: allowsDuplicateKeys, maxDepth: depthInDoubt(text) ?? maxDepth };
  try {
    loadAll(text, null, options);
    return undefined;
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const { line, column } = error.mark;
    const reason = error.reason.startsWith('nesting exceeded') ? 'it is nested too deep' : withoutQuotes(error.reason);
    return `line ${line + 1}, column ${column + 1}: ${reason}`;
  }
}

/** For `yaml`: it compares each key of a mapping with each other one, which js-yaml has done already in what it has read. */
export function optionsFor(text: string): { readonly uniqueKeys: boolean; readonly prettyErrors: false } {
  return { uniqueKeys: !isReadTwice(text), prettyErrors: false };
}

function isReadTwice(text: string): boolean {
  return text.length >= longText || depthInDoubt(text) !== undefined;
}

function withoutQuotes(reason: string): string {
  return reason.replace(/"[^]*"|<[^]*>|:[^]*/g, '…');
}
