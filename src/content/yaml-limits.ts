import { FAILSAFE_SCHEMA, loadAll, Type, YAMLException } from 'js-yaml';

import { isNestedTooDeep } from './yaml-depth.ts';

/** What is this long, and wrong, is not worth a list of all that is wrong in it. */
const longText = 64 * 1024;

const schema = FAILSAFE_SCHEMA.extend({
  explicit: (['scalar', 'sequence', 'mapping'] as const).map((kind) => new Type('', { kind, multi: true })),
});

export interface YamlLimits {
  /** Of keys that stand twice in a mapping, the last one counts. Default: that is a mistake. */
  readonly allowsDuplicateKeys?: boolean | undefined;
}

/**
 * Why `text` is not given to the library `yaml`, which reads what people write and tells all that is wrong in it: 4 MB of
 * mistakes took 4 GB and 20 seconds, and what is nested too deep the process. In a long text the first mistake is found by
 * js-yaml, which stops there. Quotes nothing of the text. Undefined where it can be read, with `optionsFor(text)`.
 */
export function whyUnreadableYaml(text: string, { allowsDuplicateKeys = false }: YamlLimits = {}): string | undefined {
  if (isNestedTooDeep(text)) return 'it is nested too deep';
  if (!isLong(text)) return undefined;
  try {
    loadAll(text, null, { schema, json: allowsDuplicateKeys });
    return undefined;
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const { line, column } = error.mark;
    return `line ${line + 1}, column ${column + 1}: ${error.reason.replace(/"[^]*"|<[^]*>|:[^]*/g, '…')}`;
  }
}

/** For `yaml`: it compares each key of a mapping with each other one, which js-yaml has done already in a long text. */
export function optionsFor(text: string): { readonly uniqueKeys: boolean; readonly prettyErrors: false } {
  return { uniqueKeys: !isLong(text), prettyErrors: false };
}

function isLong(text: string): boolean {
  return text.length >= longText;
}
