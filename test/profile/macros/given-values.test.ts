import { describe, expect, it } from 'vitest';

import { parseGivenValue, readGivenValues } from '../../../src/profile/macros/given-values.ts';
import { failureOf } from '../../support/expect-error.ts';
import { expectError } from '../../support/expect-error.ts';
import { problemsOf, withFiles } from '../profile-files.ts';

const read = (content: string) => withFiles({ 'values.yaml': content }, ([path = '']) => readGivenValues(path));

describe('parseGivenValue', () => {
  it('splits at the first equals sign', () => {
    expect(parseGivenValue('macro.url=https://a?b=c\n')).toEqual(['macro.url', 'https://a?b=c\n']);
    expect(parseGivenValue('empty=')).toEqual(['empty', '']);
  });

  it.each(['hunter2', '=hunter2', ' a=hunter2', ''])('refuses %j without quoting it', async (text) => {
    const error = await expectError('USAGE', 'NAME=VALUE', () => parseGivenValue(text));
    expect(`${error.message} ${error.hint}`).not.toContain('hunter2');
  });
});

describe('readGivenValues', () => {
  it('reads names to values, nested or with dots', async () => {
    const text =
      'podCidr: 10.0.0.0/16\nport: 8080\nha: yes\nempty:\nmacro:\n  registry: reg.io\nsystem.cluster: {name: store-1}\n';
    expect(await read(text)).toEqual([
      ['podCidr', '10.0.0.0/16'],
      ['port', '8080'],
      ['ha', 'true'],
      ['empty', ''],
      ['macro.registry', 'reg.io'],
      ['system.cluster.name', 'store-1'],
    ]);
    expect(await read('{"a": "b"}')).toEqual([['a', 'b']]);
    expect(await read('# nothing\n')).toEqual([]);
  });

  it('refuses what is no text, and numbers that would be printed otherwise, all together', async () => {
    const error = await failureOf(read('a: [hunter2]\nb: 1.10\nc: {d: 0x1f}\n'));
    expect(error.code).toBe('PROFILE_INVALID');
    expect(problemsOf(error).map((message) => message.replace(/^.*#/, ''))).toEqual([
      'a: is no text; put it in quotes',
      'b: is no text; put it in quotes',
      'c.d: is no text; put it in quotes',
    ]);
  });

  it.each(['- a\n', 'a: 1\n---\nb: 2\n', 'text', 'a: ['])('refuses %j', async (text) => {
    expect((await failureOf(read(text))).code).toBe('PROFILE_INVALID');
  });

  it('says which file cannot be read', async () => {
    await expectError('FILE_FAILED', "'/nowhere/values.yaml'", () => readGivenValues('/nowhere/values.yaml'));
  });
});
