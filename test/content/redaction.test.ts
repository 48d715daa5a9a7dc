import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { redact, registerSecret } from '../../src/redaction.ts';

describe('redact', () => {
  it('removes a registered secret in every form in which it travels', () => {
    const secret = 'p@ss/w ord?';
    registerSecret(secret);
    const forms = [secret, Buffer.from(secret).toString('base64url'), encodeURIComponent(secret), 'p%40ss%2Fw+ord%3F'];
    for (const form of forms) expect(redact(`before ${form} after ${form}`)).toBe('before [redacted] after [redacted]');
  });

  it('removes it from JSON, and from base64 with its padding and without', () => {
    const secret = 'say "no" \\ more';
    registerSecret(secret);
    const [quoted, base64] = [JSON.stringify({ secret }), Buffer.from(secret).toString('base64')];
    expect(redact(quoted)).toBe('{"secret":"[redacted]"}');
    expect(redact(base64)).not.toContain(base64.slice(0, 8));
    expect(redact(base64.replaceAll('=', ''))).toBe('[redacted]');
  });

  it('removes the long lines of a key, wherever they are quoted', () => {
    registerSecret('-----BEGIN KEY-----\nMIIEvgIBADANBgkq\r\nhkiG9w0BAQEFAASC\nshort\n-----END KEY-----\n');
    expect(redact('|  MIIEvgIBADANBgkq | hkiG9w0BAQEFAASC | short')).toBe('|  [redacted] | [redacted] | short');
  });

  it('removes a secret that another one begins with, whichever came first', () => {
    registerSecret('prefix-of');
    registerSecret('prefix-of-the-longer-one');
    registerSecret('longest-of-all-tokens');
    registerSecret('longest-of');
    expect(redact('prefix-of-the-longer-one')).toBe('[redacted]');
    expect(redact('longest-of-all-tokens')).toBe('[redacted]');
  });

  it('does not blank out ordinary words for a secret that is too short to be one', () => {
    registerSecret('an');
    registerSecret('');
    expect(redact('an orange')).toBe('an orange');
  });

  it.each([
    ['Authorization: Bearer eyJhbGciOi.J9-_x', 'Authorization: Bearer [redacted]'],
    ['Authorization: Basic dXNlcjpwYXNz==', 'Authorization: Basic [redacted]'],
    ['https://user:pass@host/x', 'https://[redacted]@host/x'],
    ['https://:pass@host/x', 'https://[redacted]@host/x'],
    ['https://host/x?a=1&X-Amz-Signature=abc&b=2', 'https://host/x?a=1&X-Amz-Signature=[redacted]&b=2'],
    ['https://host/x?sig=a%2Fb', 'https://host/x?sig=[redacted]'],
    ['https://host/token?password=x', 'https://host/token?password=[redacted]'],
    ['https://host/v2/library/nginx/tags/list?n=100', 'https://host/v2/library/nginx/tags/list?n=100'],
    ['docker.io/library/nginx:1.27@sha256:abc', 'docker.io/library/nginx:1.27@sha256:abc'],
  ])('turns %s into %s', (text, expected) => {
    expect(redact(text)).toBe(expected);
  });

  it.each(['x', '://', '://x:', 'Bearer ', '?token=', '?x-amz-'])(
    'takes no longer for each character of a text that repeats %j, however long it is',
    (part) => {
      // An effort that grows with the square of the length would take hours.
      const text = part.repeat(3_000_000 / part.length);
      expect(redact(text).length).toBeLessThanOrEqual(3 * text.length);
    },
  );

  it('leaves no registered secret in any text', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 12 }), fc.string(), fc.string(), (secret, before, after) => {
        registerSecret(secret);
        expect(redact(before + secret + after)).not.toContain(secret);
      }),
      { numRuns: 50 },
    );
  });
});
