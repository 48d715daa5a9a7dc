import { createHash } from 'node:crypto';

import { isUnknown, type MacroValue, unresolvable } from './macro-value.ts';

type TemplateFunction = (args: readonly MacroValue[]) => MacroValue;
type Argument = MacroValue | undefined;

const maxTextLength = 1024 * 1024;
// Go's unicode.IsSpace, which is not JavaScript's.
const spaces = '[\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]';
const outerSpace = new RegExp(`^${spaces}+|${spaces}+$`, 'g');

/**
 * The functions of Sprig v3.3 that turn text into text, and what goes with them, with Sprig's order of arguments. What
 * Sprig answers with an error, or where it is not certain what it answers, is unresolved: text that is not ASCII where
 * Sprig counts bytes, numbers in strings that are no plain decimals.
 */
export const templateFunctions: ReadonlyMap<string, TemplateFunction> = new Map<string, TemplateFunction>([
  ['substr', of(3, ([start, end, text]) => substring(integer(start), integer(end), ascii(text)))],
  ['trunc', of(2, ([length, text]) => truncate(integer(length), ascii(text)))],
  ['trim', of(1, ([text]) => string(text).replace(outerSpace, ''))],
  ['trimAll', of(2, ([cutset, text]) => trimAll(ascii(cutset), ascii(text)))],
  ['trimPrefix', of(2, ([prefix, text]) => withoutPrefix(string(prefix), string(text)))],
  ['trimSuffix', of(2, ([suffix, text]) => withoutSuffix(string(suffix), string(text)))],
  ['replace', of(3, ([old, replacement, text]) => replaceAll(string(old), string(replacement), string(text)))],
  ['lower', of(1, ([text]) => ascii(text).toLowerCase())],
  ['upper', of(1, ([text]) => ascii(text).toUpperCase())],
  ['title', of(1, ([text]) => ascii(text).replace(/(?<!\w)[a-z]/g, (letter) => letter.toUpperCase()))],
  ['nospace', of(1, ([text]) => ascii(text).replace(/\s/g, ''))],
  ['repeat', of(2, ([count, text]) => repeat(integer(count), string(text)))],
  ['indent', of(2, ([spaces, text]) => indent(integer(spaces), string(text)))],
  ['nindent', of(2, ([spaces, text]) => `\n${indent(integer(spaces), string(text))}`)],
  ['quote', (args) => args.map(quote).join(' ')],
  ['squote', (args) => args.map((value) => `'${printed(value)}'`).join(' ')],
  ['cat', (args) => args.map(printed).join(' ')],
  ['contains', of(2, ([part, text]) => string(text).includes(string(part)))],
  ['hasPrefix', of(2, ([prefix, text]) => string(text).startsWith(string(prefix)))],
  ['hasSuffix', of(2, ([suffix, text]) => string(text).endsWith(string(suffix)))],
  ['b64enc', of(1, ([text]) => Buffer.from(string(text)).toString('base64'))],
  ['b64dec', of(1, ([text]) => decodeBase64(string(text)))],
  ['sha1sum', of(1, ([text]) => createHash('sha1').update(string(text)).digest('hex'))],
  ['sha256sum', of(1, ([text]) => createHash('sha256').update(string(text)).digest('hex'))],
  ['sha512sum', of(1, ([text]) => createHash('sha512').update(string(text)).digest('hex'))],
  ['toString', of(1, ([value]) => printed(value))],
  ['default', of(2, ([fallback, value]) => some(isEmpty(value) ? fallback : value))],
  ['ternary', of(3, ([yes, no, condition]) => some(boolean(condition) ? yes : no))],
  ['empty', of(1, ([value]) => isEmpty(value))],
  ['coalesce', (args) => args.find((value) => !isEmpty(value)) ?? fail('none of the values is set')],
  ['list', (args) => args],
  ['splitList', of(2, ([separator, text]) => string(text).split(string(separator)))],
  ['join', of(2, ([separator, values]) => items(values).map(printed).join(string(separator)))],
  ['first', of(1, ([values]) => items(values).at(0) ?? fail('the list is empty'))],
  ['last', of(1, ([values]) => items(values).at(-1) ?? fail('the list is empty'))],
  ['initial', of(1, ([values]) => items(values).slice(0, -1))],
  ['rest', of(1, ([values]) => items(values).slice(1))],
  ['index', of(2, ([values, position]) => items(values)[Number(integer(position))] ?? fail('no such item'))],
  ['int', of(1, ([value]) => number(value))],
  ['int64', of(1, ([value]) => number(value))],
  ['atoi', of(1, ([text]) => number(string(text)))],
  ['add1', of(1, ([value]) => int64(number(value) + 1n))],
  ['add', (args) => int64(args.map(number).reduce((sum, value) => sum + value, 0n))],
  ['sub', of(2, ([one, other]) => int64(number(one) - number(other)))],
  ['mul', (args) => int64(args.map(number).reduce((product, value) => product * value, 1n))],
  ['div', of(2, ([one, other]) => int64(number(one) / divisor(other)))],
  ['mod', of(2, ([one, other]) => int64(number(one) % divisor(other)))],
  [
    'max',
    ([first, ...others]) => others.map(number).reduce((one, other) => (other > one ? other : one), number(first)),
  ],
  [
    'min',
    ([first, ...others]) => others.map(number).reduce((one, other) => (other < one ? other : one), number(first)),
  ],
  ['printf', ([pattern, ...args]) => format(string(pattern), args)],
]);

/** The text that Go prints for a value. @throws EdgeBundleError MACRO_UNRESOLVED for what prints as no plain text */
export function printed(value: Argument): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'bigint' || typeof value === 'boolean') return String(value);
  return fail('a list is no text');
}

/** A function that takes so many arguments. */
function of(count: number, apply: TemplateFunction): TemplateFunction {
  return (args) => (args.length === count ? apply(args) : fail(`it takes ${count} arguments, not ${args.length}`));
}

function fail(reason: string): never {
  throw unresolvable(reason);
}

function some(value: Argument): MacroValue {
  return value ?? fail('a value is missing');
}

function string(value: Argument): string {
  return typeof value === 'string' ? value : fail('it takes text');
}

function ascii(value: Argument): string {
  const text = string(value);
  return /^[\x00-\x7f]*$/.test(text) ? text : fail('its text has characters outside of ASCII');
}

function integer(value: Argument): bigint {
  return typeof value === 'bigint' ? value : fail('it takes a whole number');
}

/** Sprig reads numbers from text too. */
function number(value: Argument): bigint {
  if (typeof value === 'string' && /^(0|-?[1-9]\d{0,17})$/.test(value)) return BigInt(value);
  return integer(value);
}

function divisor(value: Argument): bigint {
  const divisor = number(value);
  return divisor === 0n ? fail('it divides by zero') : divisor;
}

function int64(value: bigint): bigint {
  return BigInt.asIntN(64, value);
}

function boolean(value: Argument): boolean {
  return typeof value === 'boolean' ? value : fail('it takes a boolean');
}

function items(value: Argument): readonly MacroValue[] {
  return Array.isArray(value) ? (value as readonly MacroValue[]) : fail('it takes a list');
}

function isEmpty(value: Argument): boolean {
  if (value === undefined || value === '' || value === 0n || value === false) return true;
  return typeof value === 'object' && (isUnknown(value) || value.length === 0);
}

function substring(start: bigint, end: bigint, text: string): string {
  const [from, to] = [Number(start), Number(end)];
  if (from > text.length || (from < 0 && (to < 0 || to > text.length)) || (from > to && to >= 0)) {
    return fail('its text is shorter than that');
  }
  if (from < 0) return text.slice(0, to);
  return to < 0 || to > text.length ? text.slice(from) : text.slice(from, to);
}

function truncate(length: bigint, text: string): string {
  const count = Number(length);
  if (count < 0) return text.length + count > 0 ? text.slice(count) : text;
  return text.slice(0, count);
}

function trimAll(cutset: string, text: string): string {
  let [start, end] = [0, text.length];
  while (start < end && cutset.includes(text.charAt(start))) start += 1;
  while (end > start && cutset.includes(text.charAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

function withoutPrefix(prefix: string, text: string): string {
  return text.startsWith(prefix) ? text.slice(prefix.length) : text;
}

function withoutSuffix(suffix: string, text: string): string {
  return text.endsWith(suffix) ? text.slice(0, text.length - suffix.length) : text;
}

function replaceAll(old: string, replacement: string, text: string): string {
  if (old !== '') return bounded(text.split(old), replacement);
  return bounded(['', ...Array.from(text), ''], replacement);
}

function repeat(count: bigint, text: string): string {
  if (count < 0n) return fail('it cannot repeat less than 0 times');
  return count * BigInt(text.length) > maxTextLength ? fail('it makes too much text') : text.repeat(Number(count));
}

function indent(count: bigint, text: string): string {
  const pad = repeat(count, ' ');
  return pad + bounded(text.split('\n'), `\n${pad}`);
}

function bounded(parts: readonly string[], separator: string): string {
  const length = parts.reduce((sum, part) => sum + part.length, separator.length * parts.length);
  return length > maxTextLength ? fail('it makes too much text') : parts.join(separator);
}

function quote(value: Argument): string {
  const text = ascii(printed(value));
  return /[^\x20-\x7e\n\r\t]/.test(text) ? fail('its text has control characters') : JSON.stringify(text);
}

function decodeBase64(text: string): string {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text) return fail('its text is not Base64');
  const decoded = bytes.toString('utf8');
  return Buffer.from(decoded).equals(bytes) ? decoded : fail('what it gives is not text');
}

/** `%s`, `%d` and `%v`, without flags. */
function format(pattern: string, args: readonly MacroValue[]): string {
  const rest = [...args];
  const text = pattern.replace(/%(.?)/gs, (_verb, letter: string) => {
    if (letter === '%') return '%';
    const value = rest.shift();
    if (letter === 's') return string(value);
    if (letter === 'd') return String(integer(value));
    return letter === 'v' ? printed(value) : fail('of the formats, %s, %d and %v are known');
  });
  return rest.length === 0 ? text : fail('it has more arguments than its format takes');
}
