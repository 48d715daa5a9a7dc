/**
 * How Helm 4 and kubectl read plain words (go-yaml v2, which is YAML 1.1 in part): `yes` and `off` are booleans, `0644`
 * is an octal number, `1_000` a number; dates and `12:30:45` are strings. A chart gets what the cluster would give it.
 */
export const plainWords: readonly PlainWord[] = [
  { type: 'null', test: /^(|~|null|Null|NULL)$/, resolve: () => null },
  { type: 'bool', test: /^(y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON)$/, resolve: () => true },
  { type: 'bool', test: /^(n|N|no|No|NO|false|False|FALSE|off|Off|OFF)$/, resolve: () => false },
  {
    type: 'int',
    test: /^[-+]?(0[bB][01_]+|0[0-7_]*|0[oO][0-7_]+|0[xX][0-9a-fA-F_]+|[1-9][0-9_]*)$/,
    resolve: readInteger,
  },
  {
    type: 'float',
    test: /^[-+]?(\.[0-9](_*[0-9])*|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?$/,
    resolve: readFraction,
  },
  {
    type: 'float',
    test: /^[-+]?\.(inf|Inf|INF)$/,
    resolve: (text) => (text.startsWith('-') ? -Infinity : Infinity),
  },
  { type: 'float', test: /^\.(nan|NaN|NAN)$/, resolve: () => NaN },
];

export interface PlainWord {
  readonly type: 'null' | 'bool' | 'int' | 'float';
  readonly test: RegExp;
  readonly resolve: (text: string) => unknown;
}

function readInteger(text: string): number | string {
  const [, sign = '', digits = ''] = /^([-+]?)(.*)$/.exec(text.replaceAll('_', '')) ?? [];
  const value = /^0[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number(digits.toLowerCase());
  if (value < 2 ** 64) return sign === '-' ? -value : value;
  return /^[0-9]+$/.test(digits) ? Number(sign + digits) : text;
}

/** What is too large is a string: the tag `7e70123` is a commit. */
function readFraction(text: string): number | string {
  const value = Number(text.replaceAll('_', ''));
  return Number.isFinite(value) ? value : text;
}
