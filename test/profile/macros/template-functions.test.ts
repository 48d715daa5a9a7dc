import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

import { isEdgeBundleError } from '../../../src/errors.ts';
import { evaluateExpression } from '../../../src/profile/macros/macro-expression.ts';
import { printed, templateFunctions } from '../../../src/profile/macros/template-functions.ts';
import { realHelm } from '../../support/real-helm.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

interface Case {
  /** With `$` for the value. */
  readonly expression: string;
  readonly value: string;
}

/** What the expression gives; undefined where it is unresolved. */
function evaluate({ expression, value }: Case): string | undefined {
  try {
    return printed(evaluateExpression(expression.replaceAll('$', '.spectro.var.x'), () => value));
  } catch (error) {
    if (isEdgeBundleError(error, 'MACRO_UNRESOLVED')) return undefined;
    throw error;
  }
}

/** What the real Helm gives for the same expressions. */
async function renderWithHelm(cases: readonly Case[]): Promise<string[]> {
  const folder = await temporaryFolder();
  await mkdir(join(folder, 'chart/templates'), { recursive: true });
  await writeFile(join(folder, 'chart/Chart.yaml'), 'apiVersion: v2\nname: chart\nversion: 1.0.0\n');
  const lines = cases.map(
    ({ expression }, index) =>
      `- {{ printf "%v" (${expression.replaceAll('$', `(index $.Values.list ${index})`)}) | toJson }}\n`,
  );
  await writeFile(join(folder, 'chart/templates/list.yaml'), `list:\n${lines.join('')}`);
  await writeFile(join(folder, 'values.json'), JSON.stringify({ list: cases.map(({ value }) => value) }));
  const text = await realHelm(['template', 'x', 'chart', '--values', 'values.json'], folder);
  return (parse(text) as { list: string[] }).list;
}

const cases: readonly Case[] = [
  ['$ | substr 0 4', '1.31.4'],
  ['$ | substr 2 -1', '1.31.4'],
  ['$ | substr -1 3', '1.31.4'],
  ['$ | substr 2 99', '1.31.4'],
  ['substr 1 1 $', 'abc'],
  ['$ | trunc 3', 'abcdef'],
  ['$ | trunc -3', 'abcdef'],
  ['$ | trunc -9', 'abcdef'],
  ['$ | trim', ' \t\n v1 \u00a0\u2003'],
  ['$ | trimAll "v."', '..v1.v.'],
  ['$ | trimPrefix "v"', 'vv1'],
  ['$ | trimSuffix "-rc"', '1-rc-rc'],
  ['$ | replace "." "-"', '1.31.4'],
  ['$ | replace "" "-"', 'aé!'],
  ['$ | lower', 'NGINX-1'],
  ['$ | upper', 'nginx_1'],
  ['$ | title', "it's a first-class_thing x2y 9a"],
  ['$ | nospace', ' a b\tc\nd '],
  ['$ | repeat 3', 'ab'],
  ['repeat 0 $', 'ab'],
  ['$ | indent 2', 'a\n\nb'],
  ['$ | nindent 2', 'a\nb'],
  ['$ | quote', 'a "b" \\c\n\t'],
  ['quote $ 3 true', 'a'],
  ['$ | squote', "it's"],
  ['cat $ 1 true', 'a  b '],
  ['$ | contains "31"', '1.31'],
  ['$ | hasPrefix "v"', 'v1'],
  ['$ | hasSuffix "v"', 'v1'],
  ['$ | b64enc', 'pässword'],
  ['$ | b64dec', 'cMOkc3N3b3Jk'],
  ['$ | sha1sum', 'a'],
  ['$ | sha256sum', 'ä'],
  ['$ | sha512sum', ''],
  ['toString 12', ''],
  ['$ | default "x"', ''],
  ['$ | default "x"', '0'],
  ['default "x" false', ''],
  ['default 7 0', ''],
  ['ternary "a" $ false', 'b'],
  ['$ | contains "v" | ternary "a" "b"', 'v1'],
  ['empty $', ''],
  ['empty (list)', ''],
  ['coalesce $ 0 "b" "c"', ''],
  ['list $ "b" | join "-"', 'a'],
  ['$ | splitList "." | first', '1.31.4'],
  ['$ | splitList "." | last', '1.31.4'],
  ['$ | splitList "." | initial | join "."', '1.31.4'],
  ['$ | splitList "." | rest | join "."', '1.31.4'],
  ['$ | splitList "" | join "|"', 'abc'],
  ['index (splitList "." $) 1', '1.31.4'],
  ['$ | int', '42'],
  ['$ | int64 | add1', '-42'],
  ['$ | atoi', '7'],
  ['add 1 $ 3', '40'],
  ['add 9223372036854775807 1', ''],
  ['sub 3 $', '5'],
  ['mul 2 $ 3', '7'],
  ['div -7 $', '2'],
  ['mod -7 $', '3'],
  ['max 1 $ 3', '12'],
  ['min $ 3', '12'],
  ['printf "%s-%d%%-%v" $ 3 true', 'a'],
  ['printf `%s` ($ | upper)', 'a'],
  ['"v" | cat $', 'a'],
].map(([expression = '', value = '']) => ({ expression, value }));

describe('the functions of macros', () => {
  it('give what Helm gives', async () => {
    expect(cases.map((each) => [each.expression, evaluate(each)])).toEqual(
      (await renderWithHelm(cases)).map((text, index) => [cases[index]?.expression, text]),
    );
  });

  it('are all compared with Helm', () => {
    const used = cases.flatMap(({ expression }) => expression.match(/[a-zA-Z]\w*/g) ?? []);
    expect([...templateFunctions.keys()].filter((name) => !used.includes(name))).toEqual([]);
  });

  it('give what Helm gives for any text and number', async () => {
    const text = fc.string({ unit: fc.constantFrom(...Array.from('ab A1.-_ \n"\\é')), maxLength: 6 });
    const number = fc.integer({ min: -7, max: 7 });
    const literal = text.map((each) => JSON.stringify(each));
    const expression = fc.oneof(
      fc.tuple(number, number).map(([start, end]) => `$ | substr ${start} ${end}`),
      number.map((length) => `$ | trunc ${length}`),
      fc.tuple(literal, literal).map(([old, replacement]) => `$ | replace ${old} ${replacement}`),
      fc
        .tuple(fc.constantFrom('trimAll', 'trimPrefix', 'trimSuffix', 'default', 'contains', 'cat'), literal)
        .map(([name, argument]) => `$ | ${name} ${argument}`),
      fc
        .constantFrom('trim', 'title', 'upper', 'lower', 'quote', 'squote', 'nospace', 'b64enc')
        .map((name) => `$ | ${name}`),
      literal.map((separator) => `$ | splitList ${separator} | join "|"`),
      fc.tuple(fc.constantFrom('add', 'sub', 'mul', 'max', 'min'), number, number).map((words) => words.join(' ')),
    );
    const random = fc
      .sample(fc.record({ expression, value: text }), { numRuns: 600, seed: 7 })
      .filter((each) => evaluate(each) !== undefined);
    expect(random.length).toBeGreaterThan(300);
    expect(random.map((each) => [each, evaluate(each)])).toEqual(
      (await renderWithHelm(random)).map((result, index) => [random[index], result]),
    );
  });

  it.each([
    ['$ | substr 9 12', 'abc'],
    ['$ | substr 2 1', 'abc'],
    ['$ | substr -1 9', 'abc'],
    ['$ | repeat -1', 'a'],
    ['div 1 $', '0'],
    ['mod 1 0', ''],
    ['$ | substr "0" 1', 'abc'],
    ['$ | upper "a"', 'b'],
    ['lower 3', ''],
    ['ternary "a" "b" $', 'true'],
    ['$ | ghost', 'a'],
    ['$ "a"', 'a'],
    ['index (list 1) 1', ''],
  ])('leave unresolved what Helm refuses: %s', async (expression, value) => {
    expect(evaluate({ expression, value })).toBeUndefined();
    await expect(renderWithHelm([{ expression, value }])).rejects.toThrow(/list\.yaml/);
  });

  it.each([
    ['characters outside of ASCII where Go counts bytes', '$ | trunc 2', 'äöü'],
    ['upper-case letters outside of ASCII', '$ | lower', 'Ä'],
    ['numbers that Go may read as octal', '$ | int', '010'],
    ['numbers with a fraction', '$ | int', '1.5'],
    ['what is not Base64', '$ | b64dec', 'a'],
    ['Base64 of what is no text', '$ | b64dec', '/w=='],
    ['the first of nothing', 'first (list)', ''],
    ['a list that is printed', 'list $ "b"', 'a'],
    ['formats with flags', 'printf "%5s" $', 'a'],
    ['too few arguments of a format', 'printf "%s"', ''],
    ['too many arguments of a format', 'printf "a" $', 'a'],
    ['fractions', 'max 1.5 $', '1'],
    ['variables', 'print @x', 'a'],
    ['other fields', '.Values.x | default $', 'a'],
    ['control structures', 'if $', 'a'],
    ['what makes the time or chance part of it', 'randAlphaNum 5', ''],
    ['the environment', 'env "HOME"', ''],
    ['text without end', '$ | repeat 1000000000', 'a'],
    ['parentheses without end', `${'('.repeat(1_000)}$${')'.repeat(1_000)}`, 'a'],
    ['a parenthesis that is not closed', '($', 'a'],
    ['an empty pipe', '$ |', 'a'],
    ['an empty expression', ' ', 'a'],
    ['cut-off space', '- $ -', 'a'],
  ])('leave %s unresolved', (_what, expression, value) => {
    expect(evaluate({ expression, value })).toBeUndefined();
  });
});
