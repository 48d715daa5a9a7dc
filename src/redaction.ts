const placeholder = '[redacted]';
const minimumSecretLength = 4;
/** Of a key in PEM, what quotes it may have each line by itself; shorter ones could be ordinary text. */
const minimumLineLength = 16;

const secrets = new Set<string>();
let longestFirst: readonly string[] | undefined;

const patterns: readonly (readonly [RegExp, string])[] = [
  [/\b(Bearer|Basic)\s+[A-Za-z0-9\-._~+/]{4,}=*/g, `$1 ${placeholder}`],
  [/:\/\/[^/@\s:]*:[^/@\s]*@/g, `://${placeholder}@`],
  [
    /([?&](?:access_token|refresh_token|token|password|sig|signature|x-amz-[a-z-]+|x-goog-[a-z-]+)=)[^&\s"']+/gi,
    `$1${placeholder}`,
  ],
];

/**
 * Makes `secret` unprintable: `redact` removes it from then on, as it is, in base64, and encoded for a URL, a form or JSON;
 * and each long line of it. Shorter than 4 characters is ignored: it would blank out ordinary words.
 */
export function registerSecret(secret: string): void {
  if (secret.length < minimumSecretLength) return;
  const lines = secret.split(/\r?\n/).filter((line) => line.length >= minimumLineLength);
  for (const form of [secret, ...lines].flatMap(formsOf)) secrets.add(form);
  longestFirst = undefined;
}

function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret, 'utf8');
  return [
    secret,
    // Without the padding, which some leave out.
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
    encodeURIComponent(secret),
    new URLSearchParams([['', secret]]).toString().slice('='.length),
    JSON.stringify(secret).slice(1, -1),
  ];
}

/** `text` without registered secrets, authorization values, credentials in URLs, and signed query parameters. */
export function redact(text: string): string {
  // A secret that another one begins with must not leave the rest of that one.
  longestFirst ??= [...secrets].sort((one, other) => other.length - one.length);
  let result = text;
  for (const secret of longestFirst) result = result.replaceAll(secret, placeholder);
  for (const [pattern, replacement] of patterns) result = result.replace(pattern, replacement);
  return result;
}
