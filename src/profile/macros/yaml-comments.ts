import { Lexer } from 'yaml';

import type { MacroText } from './macro-text.ts';

// Marks of the lexer that stand for no text: document, end of a flow collection, and scalar, whose text comes next.
const marks: ReadonlySet<string> = new Set(['\u0002', '\u0018', '\u001f']);

/**
 * Tells which of the macros in `text` stand in a comment of YAML. Template actions count as plain words. Where that is not
 * certain, a macro counts as outside.
 */
export function macrosInComments(text: string, macros: readonly MacroText[]): ReadonlySet<MacroText> {
  const comments = findComments(text.replace(/\{\{[^{}]*\}\}/g, (action) => 'x'.repeat(action.length)));
  let next = 0;
  return new Set(
    macros.filter(({ start, end }) => {
      while ((comments[next]?.end ?? Infinity) < end) next += 1;
      return (comments[next]?.start ?? Infinity) < start;
    }),
  );
}

function findComments(text: string): readonly { readonly start: number; readonly end: number }[] {
  const comments: { start: number; end: number }[] = [];
  let at = 0;
  let isScalar = false;
  for (const lexeme of new Lexer().lex(text)) {
    if (!isScalar && marks.has(lexeme)) {
      isScalar = lexeme === '\u001f';
      continue;
    }
    if (!isScalar && lexeme.startsWith('#')) comments.push({ start: at, end: at + lexeme.length });
    isScalar = false;
    at += lexeme.length;
  }
  return at === text.length ? comments : [];
}
