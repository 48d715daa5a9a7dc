import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { ensureUnambiguous } from '../../src/content/json-text.ts';
import { processorTimeOf } from '../support/processor-time.ts';
import { expectError } from '../support/expect-error.ts';

const check = (text: string): void => ensureUnambiguous(text, 'it');

describe('JSON that is read in more than one way', () => {
  it.each([
    ['at the top', '{"a":1,"b":2,"a":3}', '"a"'],
    ['further in', '{"x":[{"y":{"a":1,"a":1}}]}', '"a"'],
    ['behind an object', '{"a":{"b":[1,{"c":2}]},"d":3,"a":4}', '"a"'],
    ['with white space around it', '{ "a" :1 ,\n\t"a"\r\n: 1}', '"a"'],
    ['written with an escape', '{"a":1,"\\u0061":2}', '"a"'],
    ['with quotes and backslashes in it', '{"\\\\\\"":1,"x":"\\\\","\\\\\\"":2}', '\\\\'],
    ['in capitals, which Go takes for the same', '{"layers":[],"Layers":[]}', '"Layers"'],
    ['with letters that Go takes for k and s', '{"ks":1,"\u212a\u017f":2}', 'twice'],
    ['without a name', '{"":1,"":2}', '""'],
    ['among annotations', '{"annotations":{"a":"1","a":"2"}}', '"a"'],
    ['named as a member that each object has', '{"__proto__":1,"__proto__":2}', '__proto__'],
  ])('has a member twice %s', async (_, text, named) => {
    await expectError('CONTENT_INVALID', named, () => check(text));
  });

  it('nests deeper than anything real', async () => {
    await expectError('CONTENT_INVALID', 'nested', () => check(`${'['.repeat(200)}${']'.repeat(200)}`));
    await expectError('CONTENT_INVALID', 'nested', () => check('{"a":'.repeat(1_000_000)));
  });

  it.each([
    ['the same name in different objects', '[{"a":1},{"a":2},{"b":{"a":{"a":3}}}]'],
    ['a value that looks like a name', '{"a":"b","b":"a:","c":["a","a"],"d":"\\"a\\":"}'],
    ['annotations that differ in their case', '{"annotations":{"Version":"1","version":"2"}}'],
    ['text that ends nowhere', '{"a":"'],
    ['nothing', ''],
  ])('is not one with %s', (_, text) => {
    expect(() => check(text)).not.toThrow();
  });

  it('is never what JSON.stringify makes of an object', () => {
    const lower = fc.string().map((text) => text.toUpperCase().toLowerCase());
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof({ maxDepth: 4 }, fc.string(), fc.dictionary(lower, tie('tree')), fc.array(tie('tree'))),
    }));
    fc.assert(fc.property(tree, fc.nat(4), (value, indent) => check(JSON.stringify(value, undefined, indent))));
  });

  it('is what has one of its members again', () => {
    const names = fc.uniqueArray(fc.string(), { minLength: 1, selector: (name) => name.toUpperCase().toLowerCase() });
    fc.assert(
      fc.property(names, fc.nat(), (some, at) => {
        const members = [...some, some[at % some.length] ?? ''].map((name) => `${JSON.stringify(name)}:[]`);
        expect(() => check(`{${members.join()}}`)).toThrow('twice');
      }),
    );
  });

  it.each([
    ['backslashes', `{"${'\\'.repeat(4_000_000)}":1}`],
    ['quotes', '"'.repeat(4_000_000)],
    ['white space', `{"a"${' '.repeat(4_000_000)}"b"}`],
    ['members', `{${Array.from({ length: 400_000 }, (_, number) => `"${number}":1`).join()}}`],
  ])('is looked for in time that grows with the length: %s', (_, text) => {
    expect(processorTimeOf(() => check(text))).toBeLessThan(4000);
  });
});
