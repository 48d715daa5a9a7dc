import { FAILSAFE_SCHEMA, loadAll, type Schema, Type, YAMLException } from 'js-yaml';

import { hasFewNodes } from '../discovery/parse-manifest.ts';
import { inexactNumber } from './inexact-number.ts';
import { plainWords } from './yaml-schema.ts';

// Values of packs are hundreds of kilobytes, and js-yaml reads them in a fifth of the time that `yaml` takes. What is not
// simple, or wrong, is left to that one: it tells where all mistakes are.

/** Directives, merges, macros. */
const special = /^%|<<|\.spectro\./m;

/** Keys that are no strings. White space is passed over once, from one place: 25 KB of it took 18 seconds. */
const otherKey =
  /(^[ \t]*|[{,?]\s*|- \s*)((y|n|yes|no|on|off|true|false|null|~|[-+.]?[0-9][\w.+-]*|\.(inf|nan))\s*)?:(\s|$)/im;

/** The documents that are not empty; undefined where the text has to be looked at more closely. */
export function readSimpleYaml(
  text: string,
  { marksInexactNumbers = false }: { readonly marksInexactNumbers?: boolean | undefined },
): readonly unknown[] | undefined {
  const withoutComments = text.replace(/^[ \t]*#.*$/gm, '');
  if (special.test(withoutComments) || otherKey.test(withoutComments)) return undefined;
  try {
    const documents: unknown[] = loadAll(text, null, { schema: marksInexactNumbers ? marking : plain });
    if (documents.some((document) => document === null || document === undefined)) return undefined;
    return text.includes('*') && !hasFewNodes(documents, text.length) ? undefined : documents;
  } catch (error) {
    if (error instanceof YAMLException) return undefined;
    throw error;
  }
}

const plain = schemaOf((value) => value);
const marking = schemaOf((value, text) =>
  typeof value === 'number' && String(value) !== text ? inexactNumber : value,
);

/** Of two types with one tag, js-yaml would forget the first. */
function schemaOf(finish: (value: unknown, text: string) => unknown): Schema {
  const types = [...new Set(plainWords.map(({ type }) => type))];
  const implicit = types.map((type) => {
    const words = plainWords.filter((word) => word.type === type);
    return new Type(`tag:yaml.org,2002:${type}`, {
      kind: 'scalar',
      resolve: (text: unknown) => typeof text === 'string' && words.some(({ test }) => test.test(text)),
      construct: (data: unknown) => {
        const text = String(data);
        return finish(words.find(({ test }) => test.test(text))?.resolve(text), text);
      },
    });
  });
  return FAILSAFE_SCHEMA.extend({ implicit });
}
