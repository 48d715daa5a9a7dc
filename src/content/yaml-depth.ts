/** Deeper than anything real. */
export const maxDepth = 128;
const maxIndent = 256;
/** Of keys that are collections, as `?` begins them: 600 bytes of them took 14 seconds. */
const maxKeys = 16;

const [newline, space, comma, colon, question, minus] = [0x0a, 0x20, 0x2c, 0x3a, 0x3f, 0x2d];
const [openArray, closeArray, openObject, closeObject] = [0x5b, 0x5d, 0x7b, 0x7d];

/**
 * A quick look for YAML or JSON that opens more brackets, more collections in one line (`- - -`, `a: b: c:`), or a line further
 * to the right than most that is real: parsers take time that grows with the third power of the depth, and then the stack, and
 * where that is used up, the process (`RegExpCompiler Allocation failed`). It takes what stands in texts and comments for
 * structure, and so only raises a doubt: `values: "a: 1\n b: 2\n…"` is one text, however long.
 *
 * @returns how deep it may be where it is read more closely; undefined where there is no doubt
 */
export function depthInDoubt(text: string): number | undefined {
  /** For each bracket that is open: how many in a row there were before it. */
  const brackets: number[] = [];
  let [inRow, lineStart, isIndent] = [0, 0, true];
  let [keys, keyColumn] = [0, -1];
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === newline) {
      [inRow, lineStart, isIndent] = [0, at + 1, true];
      continue;
    }
    if (isIndent && code !== space) {
      if (at - lineStart > maxIndent) return maxDepth;
      isIndent = false;
    }
    if (code === openArray || code === openObject) brackets.push(inRow);
    else if (code === closeArray || code === closeObject) inRow = brackets.pop() ?? inRow;
    else if (code === comma) inRow = brackets.at(-1) ?? inRow;
    else if (opensCollection(text, at, code)) {
      inRow += 1;
      if (code === question) {
        keys = at - lineStart > keyColumn ? keys + 1 : 1;
        keyColumn = at - lineStart;
      }
    }
    if (keys > maxKeys) return maxKeys;
    if (brackets.length > maxDepth || inRow > maxDepth) return maxDepth;
  }
  return undefined;
}

function opensCollection(text: string, at: number, code: number): boolean {
  if (code === colon) return isEndOfWord(text, at + 1) || isQuote(text.charCodeAt(at + 1));
  if (code !== question && code !== minus) return false;
  return isEndOfWord(text, at + 1) && isEndOfWord(text, at - 1);
}

/** White space, or there is nothing. */
function isEndOfWord(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return Number.isNaN(code) || code === space || (code >= 0x09 && code <= 0x0d);
}

function isQuote(code: number): boolean {
  return code === 0x22 || code === 0x27;
}
