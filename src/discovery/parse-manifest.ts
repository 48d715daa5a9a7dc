import { CORE_SCHEMA, loadAll, Type, YAMLException } from 'js-yaml';

import { isPlainObject } from './plain-object.ts';

// js-yaml, where everything else is read with `yaml`: it takes 0.2 to 0.3 s for the 6 MB that the charts of twenty packs
// render to, `yaml` 2 s, as long as Helm itself. Version 4, because version 5 takes 0.8 s.

export interface ParsedManifest {
  /** Those of the documents that are not empty; none where there is a failure. */
  readonly values: readonly unknown[];
  readonly failure?: { readonly line: number; readonly reason: string };
}

/** Tags that are not known do not matter: the value counts. */
const anyTag = (['scalar', 'sequence', 'mapping'] as const).map(
  (kind) => new Type('', { kind, multi: true, construct: (data: unknown) => data }),
);
const merge = new Type('tag:yaml.org,2002:merge', { kind: 'scalar', resolve: (key: unknown) => key === '<<' });
const schema = CORE_SCHEMA.extend({ implicit: [merge], explicit: anyTag });

/** How many values aliases may make of a text: a thousand, and 16 for each of its characters. */
const freeNodes = 1000;
const nodesPerCharacter = 16;

/** Reads one document, or several with `...` between them. The reason of a failure quotes nothing of `text`; `line` counts from 0. */
export function parseManifest(text: string): ParsedManifest {
  try {
    const values = loadAll(text, null, { schema, json: true }).filter((value) => value !== null && value !== undefined);
    if (text.includes('*') && !hasFewNodes(values, text.length)) {
      return { values: [], failure: { line: 0, reason: 'its aliases make too much of a short text' } };
    }
    return { values };
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    return { values: [], failure: { line: error.mark.line, reason: withoutContent(error.reason) } };
  }
}

/**
 * Whether `value`, written out, has no more values in it than a text of `length` characters may stand for: aliases can make
 * millions of a few lines, and a value that contains itself has no end.
 */
export function hasFewNodes(value: unknown, length: number): boolean {
  const limit = freeNodes + nodesPerCharacter * length;
  let count = 0;
  const pending = [value];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const members: unknown[] = Array.isArray(next) ? next : isPlainObject(next) ? Object.values(next) : [];
    count += members.length;
    if (count > limit) return false;
    for (const member of members) if (typeof member === 'object' && member !== null) pending.push(member);
  }
  return true;
}

/** What is quoted in a message may be anybody's password. */
function withoutContent(reason: string): string {
  return reason.replace(/"[^]*"|<[^]*>|:[^]*/g, '…');
}
