import { isEdgeBundleError } from '../../errors.ts';
import { isUnknown, type MacroValue, unresolvable } from './macro-value.ts';
import { templateFunctions } from './template-functions.ts';

type Lookup = (path: string) => MacroValue;

interface Token {
  readonly kind: 'macro' | 'string' | 'number' | 'word' | 'mark';
  readonly text: string;
}

const token =
  /\s*(?:(?<macro>\.spectro\.[^\s|(){}"'`,\\]+)|\\"(?<quoted>[^"\\\n]*)\\"|(?<string>"(?:[^"\\\n]|\\.)*")|`(?<raw>[^`]*)`|(?<number>[-+]?\d+)(?![\w.])|(?<word>[A-Za-z_]\w*)|(?<mark>[|()]))/y;

/**
 * Evaluates what stands between the braces of a macro as Go's text/template does (Go 1.25): operands, function calls with
 * their arguments, parentheses and pipes.
 *
 * @param lookup gives the value of `.spectro.…`
 * @throws EdgeBundleError MACRO_UNRESOLVED with the reason; what `lookup` throws
 */
export function evaluateExpression(expression: string, lookup: Lookup): MacroValue {
  const tokens = readTokens(expression);
  let position = 0;
  let depth = 0;

  const pipeline = (): MacroValue => {
    let value = command();
    while (tokens[position]?.text === '|' && tokens[position]?.kind === 'mark') {
      position += 1;
      value = command(value);
    }
    return value;
  };
  const command = (piped?: MacroValue): MacroValue => {
    const first = tokens[position];
    if (first?.kind === 'word' && !constants.has(first.text)) {
      position += 1;
      return call(first.text, [...operands(), ...(piped === undefined ? [] : [piped])]);
    }
    const [value, ...others] = operands();
    if (value === undefined || others.length > 0 || piped !== undefined) throw notUnderstood();
    return value;
  };
  const operands = (): MacroValue[] => {
    const values: MacroValue[] = [];
    for (let next = tokens[position]; next !== undefined; next = tokens[position]) {
      if (next.kind === 'mark' && next.text !== '(') break;
      position += 1;
      values.push(next.kind === 'mark' ? parenthesised() : operand(next));
    }
    return values;
  };
  const operand = ({ kind, text }: Token): MacroValue => {
    if (kind === 'macro') return lookup(text);
    if (kind === 'number') return BigInt.asIntN(64, BigInt(text.replace('+', '')));
    if (kind === 'string') return text;
    const constant = constants.get(text);
    if (constant === undefined) throw notUnderstood();
    return constant;
  };
  const parenthesised = (): MacroValue => {
    depth += 1;
    if (depth > maxDepth) throw notUnderstood();
    const value = pipeline();
    if (tokens[position]?.text !== ')') throw notUnderstood();
    position += 1;
    depth -= 1;
    return value;
  };

  const value = pipeline();
  if (position < tokens.length) throw notUnderstood();
  return value;
}

const maxDepth = 20;

const constants: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['false', false],
]);

function call(name: string, args: readonly MacroValue[]): MacroValue {
  const apply = templateFunctions.get(name);
  if (apply === undefined) throw unresolvable(`the function '${name}' is not known here`);
  const unknown = args.find((argument) => isUnknown(argument) && !(name === 'default' && argument.isAbsent));
  if (unknown !== undefined && isUnknown(unknown)) throw unresolvable(unknown.reason);
  try {
    return apply(args);
  } catch (error) {
    throw isEdgeBundleError(error, 'MACRO_UNRESOLVED') ? error.about(`the function '${name}'`) : error;
  }
}

function readTokens(expression: string): readonly Token[] {
  if (/^-\s|\s-$/.test(expression)) throw unresolvable('what {{- and -}} cut off in a macro is not known');
  const end = expression.trimEnd().length;
  const tokens: Token[] = [];
  token.lastIndex = 0;
  for (let at = 0; at < end; at = token.lastIndex) {
    const groups = token.exec(expression)?.groups;
    if (groups === undefined) throw notUnderstood();
    tokens.push(readToken(groups));
  }
  return tokens;
}

function readToken(groups: Readonly<Record<string, string | undefined>>): Token {
  const { macro, quoted, string, raw, number, word, mark = '' } = groups;
  if (macro !== undefined) return { kind: 'macro', text: macro };
  if (string !== undefined) return { kind: 'string', text: unquote(string) };
  if (quoted !== undefined || raw !== undefined) return { kind: 'string', text: quoted ?? raw ?? '' };
  if (number !== undefined) return { kind: 'number', text: number };
  if (word !== undefined) return { kind: 'word', text: word };
  return { kind: 'mark', text: mark };
}

/** A string of Go's, whose escapes are JSON's but for some that nobody writes. */
function unquote(text: string): string {
  try {
    return String(JSON.parse(text));
  } catch {
    throw notUnderstood();
  }
}

function notUnderstood(): Error {
  return unresolvable('the expression is not understood');
}
