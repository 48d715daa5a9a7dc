/**
 * Palette replaces macros (`{{ .spectro.var.name }}`) in the text of values and manifests before anyone reads it as
 * YAML, so a macro may stand where YAML allows no braces. Here they are found; other template actions are left alone.
 */
export interface MacroText {
  /** Where `{{` begins. */
  readonly start: number;
  /** After `}}`. */
  readonly end: number;
  /** What stands between the braces. */
  readonly expression: string;
}

const maxMacroLength = 4096;

// A piece of a template action: plain text, a string of Go's, a string inside a quoted YAML scalar (`\"text\"`), a brace.
const piece = /[^"`{}\\]+|\\"[^"\\\n]*\\"|"(?:[^"\\\n]|\\.)*"|`[^`]*`|\{(?!\{)|\}(?!\})|["`\\]/y;
const operand = /(^|[\s(|,-])\.spectro\./;

/** The macros in `text`, in order. Never fails: what is not closed is no macro. */
export function findMacros(text: string): readonly MacroText[] {
  if (!text.includes('.spectro.')) return [];
  const macros: MacroText[] = [];
  let at = text.indexOf('{{');
  while (at !== -1) {
    const macro = readMacro(text, at);
    if (macro !== undefined) macros.push(macro);
    at = text.indexOf('{{', macro?.end ?? at + 1);
  }
  return macros;
}

/** `text` with each macro replaced by what `replace` gives for it. */
export function replaceMacros(
  text: string,
  macros: readonly MacroText[],
  replace: (macro: MacroText, index: number) => string,
): string {
  let result = '';
  let end = 0;
  for (const [index, macro] of macros.entries()) {
    result += text.slice(end, macro.start) + replace(macro, index);
    end = macro.end;
  }
  return result + text.slice(end);
}

export interface MaskedText {
  readonly text: string;
  /** `value`, a string read from the text, with the macros as they were written. */
  unmask(value: string): string;
}

/** `text` with each macro replaced by a word that YAML reads as a plain scalar; line numbers stay as long as macros do not span lines. */
export function maskMacros(text: string): MaskedText {
  const macros = findMacros(text);
  // Private-use characters: printable for YAML, and in no real profile.
  const masked = replaceMacros(text, macros, (_macro, index) => `\uE000${index}\uE001`);
  const unmask = (value: string): string =>
    value.replace(/\uE000(\d+)\uE001/g, (word, index: string) => {
      const macro = macros[Number(index)];
      return macro === undefined ? word : text.slice(macro.start, macro.end);
    });
  return { text: masked, unmask };
}

function readMacro(text: string, start: number): MacroText | undefined {
  const limit = Math.min(text.length, start + maxMacroLength);
  let plain = '';
  piece.lastIndex = start + 2;
  while (piece.lastIndex < limit && !text.startsWith('{{', piece.lastIndex)) {
    const at = piece.lastIndex;
    if (text.startsWith('}}', at)) {
      if (!operand.test(plain)) return undefined;
      return { start, end: at + 2, expression: text.slice(start + 2, at) };
    }
    const [found] = piece.exec(text) ?? [''];
    plain += /^[\\"`]./.test(found) ? ' "" ' : found;
    piece.lastIndex = at + found.length;
  }
  return undefined;
}
