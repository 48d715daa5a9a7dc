import { describe, expect, it } from 'vitest';

import { chooseVersion } from '../../src/helm/chart-version.ts';
import { expectError } from '../support/expect-error.ts';

describe('chooseVersion', () => {
  it.each([
    [['1.2.0', '1.10.0', '1.9.9'], '1.10.0'],
    [['1.0.0', '2.0.0-rc.1'], '1.0.0'],
    [['v1.0.0', 'v0.9.0'], 'v1.0.0'],
    [['latest', '0.1', 'x.y.z', '0.0.9'], '0.1'],
    [['1.0.0+b', '0.9.0+a'], '1.0.0+b'],
  ])('takes of %j without a wish %s', (published, expected) => {
    expect(chooseVersion(published, undefined, 'chart')).toBe(expected);
  });

  it('takes the wanted one, with or without a v', () => {
    expect(chooseVersion(['1.0.0', '2.0.0-rc.1'], '2.0.0-rc.1', 'chart')).toBe('2.0.0-rc.1');
    expect(chooseVersion(['v1.0.0', '2.0.0'], '1.0.0', 'chart')).toBe('v1.0.0');
    expect(chooseVersion(['1.0.0', 'v1.0.0'], 'v1.0.0', 'chart')).toBe('v1.0.0');
    expect(chooseVersion(['latest', '1.0.0'], 'latest', 'chart')).toBe('latest');
  });

  it('says what there is, the highest first', async () => {
    // SemVer 2.0.0, section 11: the order of pre-releases.
    const published = [
      '1.0.0-alpha.1',
      '1.0.0-beta.2',
      '1.0.0-alpha',
      '1.0.0-rc.1',
      '1.0.0-beta.11',
      '1.0.0-alpha.beta',
      '1.0.0-beta',
    ];
    const error = await expectError('NOT_FOUND', 'chart x: it does not have a version that is no pre-release', () =>
      chooseVersion(published, undefined, 'chart x'),
    );
    expect(error.hint).toBe('It has: 1.0.0-rc.1, 1.0.0-beta.11, 1.0.0-beta.2, 1.0.0-beta, 1.0.0-alpha.beta.');
    const other = await expectError('NOT_FOUND', 'version 3', () => chooseVersion(['1.0.0', '2.0.0'], '3', 'chart x'));
    expect(other.hint).toBe('It has: 2.0.0, 1.0.0.');
    await expectError('NOT_FOUND', 'chart x: there is no such chart', () => chooseVersion([], undefined, 'chart x'));
  });
});
