import { createHash } from 'node:crypto';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { digestAlgorithm, Digester, digestHex, digestOf, isDigest, parseDigest } from '../../src/content/digest.ts';

const hex = (length: number): fc.Arbitrary<string> => fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`));

describe('a digest', () => {
  it('of no bytes and of "abc" is the one that the standard gives (FIPS 180-4)', () => {
    expect(digestOf('')).toBe('sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    expect(digestOf('abc')).toBe('sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    expect(digestOf('abc', 'sha512')).toBe(
      'sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a' +
        '2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
    );
  });

  it('is the same however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array()), fc.constantFrom('sha256', 'sha512'), (pieces, algorithm) => {
        const digester = new Digester(algorithm);
        for (const piece of pieces) digester.update(piece);
        const whole = Buffer.concat(pieces);
        const expected = `${algorithm}:${createHash(algorithm).update(whole).digest('hex')}`;
        expect(digester.digest()).toBe(expected);
        expect(digestOf(whole, algorithm)).toBe(expected);
      }),
    );
  });

  it('is recognised, and taken apart', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.tuple(fc.constant('sha256'), hex(64)), fc.tuple(fc.constant('sha512'), hex(128))),
        ([algorithm, digits]) => {
          const digest = parseDigest(`${algorithm}:${digits}`);
          expect(digestAlgorithm(digest)).toBe(algorithm);
          expect(digestHex(digest)).toBe(digits);
        },
      ),
    );
  });

  it.each([
    '',
    'sha256',
    'sha256:',
    ':',
    `sha256:${'a'.repeat(63)}`,
    `sha256:${'a'.repeat(65)}`,
    `sha256:${'A'.repeat(64)}`,
    `sha256:${'g'.repeat(64)}`,
    `sha512:${'a'.repeat(64)}`,
    `sha1:${'a'.repeat(40)}`,
    `sha256:${'a'.repeat(63)}\n`,
    `sha256:${'a'.repeat(31)}\n${'a'.repeat(32)}`,
    `SHA256:${'a'.repeat(64)}`,
    ` sha256:${'a'.repeat(64)}`,
    `sha256:${'a'.repeat(64)}\n`,
    `sha256:${'a'.repeat(63)}/`,
    `sha256:../${'a'.repeat(61)}`,
  ])("is not '%s'", (text) => {
    expect(isDigest(text)).toBe(false);
    expect(() => parseDigest(text)).toThrow(expect.objectContaining({ code: 'CONTENT_INVALID' }) as Error);
  });

  it('is never anything that could leave a folder', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((text) => `sha256:${text}`),
        ),
        (text) => {
          if (isDigest(text)) expect(text).toMatch(/^sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})$/);
          else expect(() => parseDigest(text)).toThrow('is not a digest');
        },
      ),
    );
  });
});
