import { describe, expect, it } from 'vitest';
import * as z from 'zod';

import { listOf, recordOf } from '../../src/content/list-schema.ts';
import { parseManifest } from '../../src/content/manifest.ts';
import { mediaTypes } from '../../src/content/media-types.ts';
import { processorTimeOf } from '../support/processor-time.ts';
import { image } from '../support/graphs.ts';

const issues = (schema: z.ZodType, value: unknown): readonly string[] =>
  (schema.safeParse(value).error?.issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`);

describe('a list', () => {
  it('has what its elements are read as', () => {
    expect(listOf(z.string().transform(Number)).parse(['1', '2'])).toEqual([1, 2]);
    expect(listOf(z.string()).parse([])).toEqual([]);
  });

  it('is given up at its first wrong element, or at the number of them that was asked for', () => {
    expect(issues(listOf(z.object({ a: z.string() })), [{ a: '' }, {}, 7])).toEqual([
      '1.a: Invalid input: expected string, received undefined',
    ]);
    expect(issues(listOf(z.string(), { maxWrong: 2 }), ['', 1, '', 2, 3]).map((issue) => issue[0])).toEqual(['1', '3']);
  });

  it.each([
    [null, 'null'],
    [undefined, 'undefined'],
    [{}, 'object'],
    ['x', 'string'],
  ])('is not %j', (value, name) => {
    expect(issues(listOf(z.string()), value)).toEqual([`: Invalid input: expected array, received ${name}`]);
  });
});

describe('a record', () => {
  it('has what its members are read as, whatever they are called', () => {
    const json: unknown = JSON.parse('{"a":"1","__proto__":"2","constructor":"3"}');
    const read = recordOf(z.string().transform(Number)).parse(json);
    expect(Object.entries(read)).toEqual([
      ['a', 1],
      ['__proto__', 2],
      ['constructor', 3],
    ]);
  });

  it('is given up at its first wrong member', () => {
    expect(issues(recordOf(z.string()), { a: '', b: 1, c: 2 })).toEqual([
      'b: Invalid input: expected string, received number',
    ]);
  });

  it.each([
    [null, 'null'],
    [[], 'array'],
    ['x', 'string'],
  ])('is not %j', (value, name) => {
    expect(issues(recordOf(z.string()), value)).toEqual([`: Invalid input: expected record, received ${name}`]);
  });
});

describe('a manifest of 4 MiB', () => {
  /** It took 17 seconds and 3 GB. */
  it.each([
    ['layers that are none', 'layers', `[${new Array(1_400_000).fill('{}').join()}]`],
    ['annotations that are none', 'annotations', `{${Array.from({ length: 300_000 }, (_, at) => `"${at}":0`).join()}}`],
  ])('with %s is refused at the first of them', (_, member, value) => {
    const { bytes, descriptor } = image([]);
    const text = bytes.toString().replace('"layers":[]', '"layers":[],"annotations":{}');
    const hostile = text.replace(new RegExp(`"${member}":(\\[\\]|\\{\\})`), `"${member}":${value}`);
    expect(hostile.length).toBeGreaterThan(2_000_000);
    const target = { ...descriptor, mediaType: mediaTypes.ociManifest };
    expect(
      processorTimeOf(() => expect(() => parseManifest(Buffer.from(hostile), target)).toThrow(`'${member}.0`)),
    ).toBeLessThan(6000);
  });
});
