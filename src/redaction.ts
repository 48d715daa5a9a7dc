const placeholder = '[redacted]';
const minimumSecretLength = 4;

/** Longest first: a secret that another one begins with must not leave the rest of that one. */
let secrets: readonly string[] = [];

const patterns: readonly (readonly [RegExp, string])[] = [
  [/\b(Bearer|Basic)\s+[A-Za-z0-9\-._~+/]{4,}=*/g, `$1 ${placeholder}`],
  [/([a-z][a-z0-9+.-]*:\/\/)[^/@\s:]*:[^/@\s]*@/gi, `$1${placeholder}@`],
  [
    /([?&](?:access_token|refresh_token|token|password|sig|signature|x-amz-[a-z-]+|x-goog-[a-z-]+)=)[^&\s"']+/gi,
    `$1${placeholder}`,
  ],
];

/**
 * Makes `secret`, and its base64 and percent-encoded forms, unprintable: `redact` removes them from then on.
 * Shorter than 4 characters is ignored: it would blank out ordinary words.
 */
export function registerSecret(secret: string): void {
  if (secret.length < minimumSecretLength) return;
  const forms = [secret, Buffer.from(secret, 'utf8').toString('base64'), encodeURIComponent(secret)];
  secrets = [...new Set([...secrets, ...forms])].sort((a, b) => b.length - a.length);
}

/** `text` without registered secrets, authorization values, credentials in URLs, and signed query parameters. */
export function redact(text: string): string {
  let result = text;
  for (const secret of secrets) result = result.replaceAll(secret, placeholder);
  for (const [pattern, replacement] of patterns) result = result.replace(pattern, replacement);
  return result;
}
