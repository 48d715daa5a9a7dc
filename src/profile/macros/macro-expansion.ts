import { isEdgeBundleError } from '../../errors.ts';
import { evaluateExpression } from './macro-expression.ts';
import { findMacros, type MacroText, replaceMacros } from './macro-text.ts';
import { type ExpandedText, isUnknown, type MacroValue, type MissingMacro, unresolvable } from './macro-value.ts';
import { placeholderFor, type PlaceholderStyle } from './placeholders.ts';
import { problem } from '../problems.ts';
import { printed } from './template-functions.ts';

const maxDepth = 50;
const maxValueLength = 1024 * 1024;

/** Replaces macros by their values, in which there may be macros again. What each stands for is found out once. */
export class MacroExpansion {
  readonly #style: PlaceholderStyle;
  readonly #read: (path: string) => MacroValue;
  readonly #known = new Map<string, MacroValue>();

  /** @param read gives what is written for `.spectro.…` */
  constructor(style: PlaceholderStyle, read: (path: string) => MacroValue) {
    this.#style = style;
    this.#read = read;
  }

  /**
   * What stands for a macro of `text`.
   *
   * @throws EdgeBundleError PROFILE_INVALID for one that leads to itself, with the chain
   */
  expand(macro: MacroText, text: string): ExpandedText {
    return this.#expand(macro, text, []);
  }

  /** @param chain the paths that lead here */
  #expand(macro: MacroText, text: string, chain: readonly string[]): ExpandedText {
    const unresolved = (reason: string, hint: string | undefined): ExpandedText => {
      const written = text.slice(macro.start, macro.end);
      const placeholder = placeholderFor(macro.expression, this.#style);
      return { text: placeholder, missing: [{ macro: written, reason, hint, placeholder }] };
    };
    try {
      const value = evaluateExpression(macro.expression, (path) => this.#lookUp(path, chain));
      if (!isUnknown(value)) return { text: printed(value), missing: [] };
      return value.partial ?? unresolved(value.reason, value.hint);
    } catch (error) {
      if (!isEdgeBundleError(error, 'MACRO_UNRESOLVED')) throw error;
      return unresolved(error.message, error.hint);
    }
  }

  #lookUp(path: string, chain: readonly string[]): MacroValue {
    if (chain.includes(path)) {
      const loop = [...chain.slice(chain.indexOf(path)), path];
      throw problem(`the macro '${path}'`, `leads to itself: ${loop.join(' → ')}`);
    }
    const known = this.#known.get(path);
    if (known !== undefined) return known;
    const written = this.#read(path);
    const value = typeof written === 'string' ? this.#expandAll(written, [...chain, path]) : written;
    this.#known.set(path, value);
    return value;
  }

  #expandAll(text: string, chain: readonly string[]): MacroValue {
    const macros = findMacros(text);
    if (macros.length === 0) return text;
    if (chain.length > maxDepth) throw unresolvable(`macros lead to macros more than ${maxDepth} times`);
    const missing = new Map<string, MissingMacro>();
    let length = text.length;
    const expanded = replaceMacros(text, macros, (macro) => {
      const part = this.#expand(macro, text, chain);
      length += part.text.length;
      if (length > maxValueLength) throw unresolvable(`its value has more than ${maxValueLength} characters`);
      for (const each of part.missing) missing.set(each.macro, each);
      return part.text;
    });
    const [first] = missing.values();
    if (first === undefined) return expanded;
    return { reason: first.reason, hint: first.hint, partial: { text: expanded, missing: [...missing.values()] } };
  }
}
