import { generateKeyPairSync } from 'node:crypto';

// Charts make certificates for themselves, each with an RSA key of its own, which takes Helm a tenth of a second and more; one
// chart may make ten. Where only the images of what it renders count, an elliptic key will do, and one for all of them.

const makers = ['genCA', 'genSelfSignedCert', 'genSignedCert', 'genPrivateKey'] as const;

/** Whether a template may make keys: a quick look. */
export function makesKeys(template: Buffer): boolean {
  return makers.some((name) => template.includes(name));
}

/**
 * The template with calls of Sprig's `genCA`, `genSelfSignedCert` and `genSignedCert` replaced by those of `genCAWithKey` and its
 * like (Sprig 3.2.0), which check the same arguments and make the same certificate, of a key that they are given; and with
 * `genPrivateKey "rsa"` replaced by `"ecdsa"`. Calls that get an argument from a pipe stay.
 */
export function withEllipticKeys(template: string): string {
  const parts: string[] = [];
  let at = 0;
  for (let start = template.indexOf('{{'); start !== -1; start = template.indexOf('{{', at)) {
    const isComment = /^\{\{(?:-\s)?\s*\/\*/.test(template.slice(start, start + 200));
    const end = isComment ? endOfComment(template, start) : endOfAction(template, start);
    if (end === undefined) break;
    const action = template.slice(start, end);
    parts.push(template.slice(at, start), isComment ? action : rewritten(action));
    at = end;
  }
  return [...parts, template.slice(at)].join('');
}

// Strings are found too, so that nothing in them is taken for something else.
const interrupting = /"(?:[^"\\\n]|\\.)*"|`[^`]*`|\}\}/g;
const callOrString =
  /(?=gen[CS])(?<=(?:\{\{-?|[(=]|\b(?:if|with|range))\s*)(?<certificate>genCA|genSelfSignedCert|genSignedCert)(?=\s)|(?<![.$\w])genPrivateKey\s+"rsa"|"(?:[^"\\\n]|\\.)*"|`[^`]*`/g;

function endOfComment(template: string, start: number): number | undefined {
  const end = template.indexOf('*/', start);
  return end === -1 ? undefined : end;
}

function endOfAction(template: string, start: number): number | undefined {
  interrupting.lastIndex = start;
  for (let match = interrupting.exec(template); match !== null; match = interrupting.exec(template)) {
    if (match[0] === '}}') return interrupting.lastIndex;
  }
  return undefined;
}

function rewritten(action: string): string {
  return action.replace(callOrString, (found, ...rest) => {
    const groups = rest.at(-1) as { readonly certificate: string | undefined };
    if (groups.certificate !== undefined) return `${JSON.stringify(sharedKey())} | ${found}WithKey`;
    return found.startsWith('gen') ? found.replace('"rsa"', '"ecdsa"') : found;
  });
}

let key: string | undefined;

function sharedKey(): string {
  key ??= generateKeyPairSync('ec', { namedCurve: 'P-256' })
    .privateKey.export({ type: 'sec1', format: 'pem' })
    .toString();
  return key;
}
