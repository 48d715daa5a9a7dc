/** One challenge of a WWW-Authenticate header: RFC 9110, section 11.3. */
export interface Challenge {
  /** In lower case: `bearer`, `basic`. */
  readonly scheme: string;
  /** By lower-case name. Empty where the challenge has none, or a token68. */
  readonly parameters: ReadonlyMap<string, string>;
}

const token = String.raw`[!#$%&'*+\-.^_\x60|~0-9A-Za-z]+`;
const schemePattern = new RegExp(`[ \\t,]*(${token})`, 'y');
const token68Pattern = /[ \t]+[A-Za-z0-9\-._~+/]+=*[ \t]*(?=,|$)/y;
const parameterPattern = new RegExp(`[ \\t,]*(${token})[ \\t]*=[ \\t]*(?:"((?:[^"\\\\]|\\\\.)*)"|(${token}))`, 'y');

/**
 * The challenges of WWW-Authenticate: one header or several, each with one challenge or several, parameters quoted or
 * not (RFC 9110, section 11.6.1). Reads as far as the text is well-formed; never throws.
 */
export function parseChallenges(header: string | readonly string[] | undefined): readonly Challenge[] {
  if (header === undefined) return [];
  return (typeof header === 'string' ? [header] : header).flatMap((text) => parseHeader(text));
}

function parseHeader(text: string): Challenge[] {
  const challenges: Challenge[] = [];
  let position = 0;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = position;
    const found = pattern.exec(text);
    if (found !== null) position = pattern.lastIndex;
    return found;
  };
  for (let scheme = match(schemePattern); scheme !== null; scheme = match(schemePattern)) {
    const parameters = new Map<string, string>();
    if (match(token68Pattern) === null) {
      for (let found = match(parameterPattern); found !== null; found = match(parameterPattern)) {
        const [, name = '', quoted, plain = ''] = found;
        parameters.set(name.toLowerCase(), quoted === undefined ? plain : quoted.replace(/\\(.)/gs, '$1'));
      }
    }
    challenges.push({ scheme: (scheme[1] ?? '').toLowerCase(), parameters });
  }
  return challenges;
}
