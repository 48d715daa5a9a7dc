import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { parsePlatform, platformDistance, platformNames } from '../../src/content/platform-match.ts';
import { formatPlatform, type Platform } from '../../src/content/platform.ts';
import { expectError } from '../support/expect-error.ts';

const parse = (text: string): string => formatPlatform(parsePlatform(text));

describe('a platform as people name it', () => {
  it.each([
    ['amd64', 'linux/amd64'],
    ['linux/amd64', 'linux/amd64'],
    ['Linux/AMD64', 'linux/amd64'],
    ['x86_64', 'linux/amd64'],
    ['amd64/v1', 'linux/amd64'],
    ['amd64/v3', 'linux/amd64/v3'],
    ['arm', 'linux/arm/v7'],
    ['armhf', 'linux/arm/v7'],
    ['arm/7', 'linux/arm/v7'],
    ['arm/v6', 'linux/arm/v6'],
    ['aarch64', 'linux/arm64'],
    ['linux/arm64/v8', 'linux/arm64'],
    ['ppc64le', 'linux/ppc64le'],
    ['ppc64le/power9', 'linux/ppc64le/power9'],
    ['386', 'linux/386'],
  ])('reads %s as %s', (text, expected) => {
    expect(parse(text)).toBe(expected);
  });

  it.each(['', 'linux', 'windows/amd64', 'amd46', 'linux/amd64/v3/x', 'amd64/fast', 'ARM64/../x'])(
    'refuses %j',
    async (text) => {
      await expectError('CONFIG_INVALID', 'is not a platform', () => parsePlatform(text));
    },
  );

  it('is listed once, sorted', () => {
    expect(platformNames(['arm64/v8', 'amd64', 'x86_64', 'arm64'].map(parsePlatform))).toEqual([
      'linux/amd64',
      'linux/arm64',
    ]);
  });
});

describe('what a machine runs', () => {
  const distance = (machine: string, made: string): number | undefined =>
    platformDistance(parsePlatform(machine), parsePlatform(made));

  it.each([
    ['amd64', 'amd64/v1'],
    ['arm64', 'arm64/v8'],
    ['arm', 'arm/v7'],
    ['s390x', 's390x'],
  ])('is %s where it is of %s: two names of one platform', (machine, made) => {
    expect(distance(machine, made)).toBe(0);
  });

  it.each([
    ['amd64', 'amd64/v2'],
    ['arm/v6', 'arm/v7'],
    ['arm64', 'arm'],
    ['amd64', '386'],
    ['ppc64le', 'ppc64le/power10'],
  ])('of %s is not what was made for %s', (machine, made) => {
    expect(distance(machine, made)).toBeUndefined();
  });

  it('is nothing that was made for another system', () => {
    expect(platformDistance({ os: 'linux', architecture: 'amd64' }, { os: 'windows', architecture: 'amd64' })).toBe(
      undefined,
    );
    expect(platformDistance({ os: 'linux', architecture: 'amd64' }, { os: 'unknown', architecture: 'unknown' })).toBe(
      undefined,
    );
  });

  it('is the better the nearer its variant is', () => {
    const order = ['amd64/v4', 'amd64/v3', 'amd64/v2', 'amd64'].map((made) => distance('amd64/v4', made) ?? Infinity);
    expect(order[0]).toBe(0);
    expect(order).toEqual(order.toSorted((one, other) => one - other));
    expect(new Set(order).size).toBe(4);
  });

  const level = fc.integer({ min: 1, max: 12 });
  const leveled = fc.record({ architecture: fc.constantFrom('amd64', 'arm', 'arm64'), level });

  it('has any variant that is not newer than its own, and no other', () => {
    fc.assert(
      fc.property(leveled, leveled, (one, other) => {
        const platform = (of: typeof one): Platform => ({
          os: 'linux',
          architecture: of.architecture,
          variant: `v${of.level}`,
        });
        const runs = one.architecture === other.architecture && other.level <= one.level;
        const found = platformDistance(platform(one), platform(other));
        expect(found !== undefined).toBe(runs);
        if (found === 0) expect(other.level).toBe(one.level);
      }),
    );
  });

  it('does not depend on how a platform is written', () => {
    fc.assert(
      fc.property(
        leveled,
        fc.constantFrom(
          (text: string) => text,
          (text: string) => text.toUpperCase(),
        ),
        fc.constantFrom('v', ''),
        ({ architecture, level: number }, write, prefix) => {
          const written = { os: write('linux'), architecture: write(architecture), variant: `${prefix}${number}` };
          expect(platformDistance(written, { os: 'linux', architecture, variant: `v${number}` })).toBe(0);
          expect(parsePlatform(`${architecture}/${prefix}${number}`)).toEqual(
            parsePlatform(`linux/${write(architecture)}/v${number}`),
          );
        },
      ),
    );
  });
});
