import { trimEnd } from '../content/trim-end.ts';
import { isFullReference, isImageName } from './image-name.ts';
import { imageKey } from './key-words.ts';

/** Longer than a flag with a reference; the patterns below are for short texts. */
const maxTokenLength = 1000;

/**
 * The images in a text that is no document: a list, a flag's value, a script, an INI file, a template. Short names count
 * only where the text itself, or `keyed`, says that an image follows; lines that are comments do not count.
 */
export function findReferences(text: string, keyed: boolean): string[] {
  if (!keyed && !text.includes('/') && !/image/i.test(text)) return [];
  return text.includes('\n') ? text.split('\n').flatMap((line) => inLine(line, keyed)) : inTokens(text, keyed);
}

const pair = /^\s*(?:- +)?["']?([\w./-]+)["']?\s*[:=]\s*(["'])?([^\s"']+)["']?,?\s*$/;

function inLine(line: string, keyed: boolean): string[] {
  if (/^\s*(#|\/\/)/.test(line)) return [];
  if (line.length > maxTokenLength) return inTokens(line, keyed);
  const [, key = '', quote, value = ''] = pair.exec(line) ?? [];
  // In quotes a single word may be an image; without them it may as well be a variable, or a type.
  const isClear = quote !== undefined || /[/:@]/.test(value);
  if (imageKey(key) === 'name' && isClear && isImageName(value)) return [value];
  return inTokens(line, keyed);
}

function inTokens(text: string, keyed: boolean): string[] {
  const found: string[] = [];
  let announced = false;
  for (const token of text.split(/[\s"'`,;|]+/)) {
    if (token.length > maxTokenLength) continue;
    const expression = token.replace(/^[([{<]+/, '');
    const equals = expression.lastIndexOf('=');
    const value = trimEnd(withoutTransport(expression.slice(equals + 1)), ')]}>.:');
    const key = expression.slice(0, Math.max(equals, 0));
    const isKeyed = keyed || announced || (equals !== -1 && imageKey(key) !== undefined);
    if (isFullReference(value) || (isKeyed && /[/:@]/.test(value) && isImageName(value))) found.push(value);
    announced = (expression.endsWith(':') || /^--?\w[\w-]*$/.test(expression)) && imageKey(expression) !== undefined;
  }
  return found;
}

/** As the container runtimes write it in a pod's status, and skopeo in its arguments. */
function withoutTransport(text: string): string {
  return text.replace(/^docker(-pullable)?:\/\//, '');
}
