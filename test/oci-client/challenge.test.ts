import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { parseChallenges } from '../../src/oci-client/challenge.ts';

function read(header: string | readonly string[]): unknown {
  return parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);
}

describe('parseChallenges', () => {
  it('reads what registries send', () => {
    expect(
      read('Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"'),
    ).toEqual([
      [
        'bearer',
        { realm: 'https://auth.docker.io/token', service: 'registry.docker.io', scope: 'repository:a/b:pull,push' },
      ],
    ]);
    expect(read('Basic realm="harbor"')).toEqual([['basic', { realm: 'harbor' }]]);
  });

  it('reads several challenges of one header (the example of RFC 9110, section 11.6.1)', () => {
    expect(read('Basic realm="simple", Newauth realm="apps", type=1, title="Login to \\"apps\\""')).toEqual([
      ['basic', { realm: 'simple' }],
      ['newauth', { realm: 'apps', type: '1', title: 'Login to "apps"' }],
    ]);
  });

  it('reads several headers', () => {
    expect(read(['Negotiate', 'Bearer realm="x"'])).toEqual([
      ['negotiate', {}],
      ['bearer', { realm: 'x' }],
    ]);
  });

  it('takes a token68, lone schemes, upper case, white space and empty elements', () => {
    expect(read('Negotiate YWJjZA==, BASIC  Realm = "a, b=c" ,, charset=UTF-8 , Kerberos')).toEqual([
      ['negotiate', {}],
      ['basic', { realm: 'a, b=c', charset: 'UTF-8' }],
      ['kerberos', {}],
    ]);
  });

  it('finds nothing in an empty header, or in none', () => {
    expect(read('')).toEqual([]);
    expect(parseChallenges(undefined)).toEqual([]);
  });

  it('reads back whatever challenges are written', () => {
    const token = fc.stringMatching(/^[a-z][a-z0-9!#$%&'*+.^_`|~-]{0,8}$/);
    const value = fc.string({ unit: fc.constantFrom('a', 'b', ' ', ',', '=', '"', '\\', ':', '/', 'é') });
    const parameters = fc.uniqueArray(fc.tuple(token, value), {
      selector: ([name]) => name,
      minLength: 1,
      maxLength: 4,
    });
    const challenges = fc.array(fc.tuple(token, parameters), { maxLength: 4 });
    fc.assert(
      fc.property(challenges, (expected) => {
        const header = expected.map(([scheme, pairs]) => `${scheme} ${pairs.map(written).join(', ')}`).join(', ');
        expect(read(header)).toEqual(expected.map(([scheme, pairs]) => [scheme, Object.fromEntries(pairs)]));
      }),
    );
  });

  it('never throws, and is quick, whatever comes', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('a', 'b', ' ', ',', '=', '"', '\\', '\t'), maxLength: 2000 }),
        (header) => {
          expect(Array.isArray(parseChallenges(header))).toBe(true);
        },
      ),
    );
  });
});

function written([name, value]: readonly [string, string]): string {
  return `${name}="${value.replace(/["\\]/g, '\\$&')}"`;
}
