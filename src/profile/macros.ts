/**
 * Palette replaces macros (`{{ .spectro.var.name }}`) in the text of values and manifests before anyone reads it as
 * YAML, so a macro may stand where YAML allows no braces. Until the macros are resolved, they are read as plain words.
 */
export interface MaskedText {
  readonly text: string;
  /** `value`, a string read from the text, with the macros as they were written. */
  unmask(value: string): string;
}

// Private-use characters: printable for YAML, and in no real profile.
const opening = '\uE000';
const closing = '\uE001';

/** `text` with each macro replaced by a word that YAML reads as a plain scalar; line numbers stay. */
export function maskMacros(text: string): MaskedText {
  const macros: string[] = [];
  const masked = text.replace(/\{\{[^{}\n]*\.spectro\.[^{}\n]*\}\}/g, (macro) => {
    macros.push(macro);
    return `${opening}${macros.length - 1}${closing}`;
  });
  const unmask = (value: string): string =>
    value.replace(/\uE000(\d+)\uE001/g, (word, index: string) => macros[Number(index)] ?? word);
  return { text: masked, unmask };
}

/** Whether `text` holds a macro or another template expression, whose value is not known. */
export function holdsTemplate(text: string): boolean {
  return text.includes('{{');
}
