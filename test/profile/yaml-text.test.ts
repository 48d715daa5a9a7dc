import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { inexactNumber } from '../../src/profile/inexact-number.ts';
import { readSimpleYaml } from '../../src/profile/simple-yaml.ts';
import { parseYaml, type YamlText } from '../../src/profile/yaml-text.ts';
import { processorTime } from '../support/processor-time.ts';
import { realHelm } from '../support/real-helm.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** The values as a chart gets them. */
async function readWithHelm(values: string): Promise<unknown> {
  const folder = await temporaryFolder();
  await mkdir(join(folder, 'chart/templates'), { recursive: true });
  await writeFile(join(folder, 'chart/Chart.yaml'), 'apiVersion: v2\nname: chart\nversion: 1.0.0\n');
  await writeFile(join(folder, 'chart/templates/values.yaml'), 'values: {{ toJson .Values | quote }}');
  await writeFile(join(folder, 'values.yaml'), values);
  const text = await realHelm(['template', 'x', 'chart', '--values', 'values.yaml'], folder);
  return JSON.parse(String(JSON.parse(text.slice(text.indexOf('values: ') + 8))));
}

describe('parseYaml', () => {
  it('reads plain words as Helm does', async () => {
    const words =
      'yes No on OFF y N True ~ null Null 0644 0o17 0b11 0x1F -0x1f 1_000 1e3 08 1. .5 +12 1_2.5 12e03 3.0 -7 0 00 ' +
      '2024-01-01 12:30:45 190:20 0o9 _1 1.31.4 v1 yEs 1e 0x - + . .. 1.10 1.2e+3 +.5 -.5 1__0 0_7 -0 9007199254740991 ' +
      '7e70123 18446744073709551615 99999999999999999999 0xfffffffffffffffff 0777777777777777777777777 0B1 0XF 1.2.3';
    const text = words
      .split(' ')
      .map((word, index) => `k${index}: ${word === '-' ? '"-"' : word}\n`)
      .join('');
    const read = parseYaml(text, 'words').documents[0];
    expect(JSON.parse(JSON.stringify(read))).toEqual(await readWithHelm(text));
  });

  it('reads any number as Helm does', async () => {
    const word = fc.string({ unit: fc.constantFrom(...Array.from('0017789_.+-exbo')), minLength: 1, maxLength: 5 });
    // A lone dash would begin a list, and `---` a document. An underscore stands between digits.
    const words = fc
      .sample(word, { numRuns: 2_000, seed: 3 })
      .filter((each) => !/^-+$|(^|[^0-9])_|_([^0-9]|$)/.test(each));
    const text = words.map((each, index) => `k${index}: ${each}\n`).join('');
    const read = parseYaml(text, 'words').documents[0];
    expect(JSON.parse(JSON.stringify(read))).toEqual(await readWithHelm(text));
  });

  it('takes the last of keys that stand twice, as Helm does, where that is allowed', async () => {
    const text = 'a: {b: 1, c: 2}\nd: 1\na: {b: 3}\n';
    const { documents, problems, warnings } = parseYaml(text, 'values', { allowsDuplicateKeys: true });
    expect(documents).toEqual([await readWithHelm(text)]);
    expect(problems).toEqual([]);
    expect(warnings).toEqual(['values: line 3, column 1: Map keys must be unique; the last one counts']);
    expect(parseYaml(text, 'values').problems).toHaveLength(1);
  });

  it('marks numbers that are not printed as they are written', () => {
    const text = '{a: 1.10, b: 0x1f, c: 22, d: 22.04, e: "1.10", f: 1e3, g: -3}';
    expect(parseYaml(text, 'values', { marksInexactNumbers: true }).documents).toEqual([
      { a: inexactNumber, b: inexactNumber, c: 22, d: 22.04, e: '1.10', f: inexactNumber, g: -3 },
    ]);
  });

  it('keeps macros as they are written', () => {
    const text = 'a: {{ .spectro.var.x }}-{{ .spectro.pack.p.q | default "}}" }}\nb: "{{\n  .spectro.var.y }}"';
    expect(parseYaml(text, 'values').documents).toEqual([
      {
        a: '{{ .spectro.var.x }}-{{ .spectro.pack.p.q | default "}}" }}',
        b: '{{\n  .spectro.var.y }}',
      },
    ]);
  });

  it.each([
    'a: *hunter2secret',
    'a: !hunter2secret x',
    'a: |hunter2secret\n  x',
    'a: "\\hunter2secret"',
    'a: !<hunter2secret> x',
    'a: !x!hunter2secret x',
    '%YAML hunter2secret\n---\na: 1',
    'a: @hunter2secret',
    'a: [hunter2secret',
    'hunter2secret: 1\nhunter2secret: 2',
  ])('quotes nothing of the text in a problem: %j', (text) => {
    const { problems } = parseYaml(text, 'values');
    expect(problems.map(({ message }) => message).join('\n')).not.toContain('hunter2secret');
    expect(problems.map(({ cause }) => cause)).toEqual(problems.map(() => undefined));
  });

  it('leaves out empty documents', () => {
    expect(parseYaml('# nothing\n---\na: 1\n---\n# nothing\n', 'values').documents).toEqual([{ a: 1 }]);
    expect(parseYaml('', 'values').documents).toEqual([]);
  });

  it('does not take a member for a prototype', () => {
    const [value] = parseYaml('__proto__: {polluted: true}', 'values').documents;
    expect(Object.hasOwn(value as object, '__proto__')).toBe(true);
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });
});

describe('readSimpleYaml', () => {
  // What follows is no simple text, and is read in the other way; the last document is not compared.
  const closely = (text: string): YamlText =>
    parseYaml(`${text}\n---\n<<: {a: 1}\n`, 'values', { allowsDuplicateKeys: true });

  it('reads what parseYaml reads more closely, or leaves it to that', () => {
    const word = fc.oneof(
      fc.constantFrom(
        'a',
        'yes',
        'no',
        'null',
        '0x1f',
        '1.10',
        '1e3',
        '~',
        '"q: 1"',
        "'it''s'",
        'x y',
        '-',
        '&x 1',
        '*x',
      ),
      fc.constantFrom(
        '# c',
        '|\n    t: 1\n',
        '>-\n    f\n',
        '{f: 1, on: 2}',
        '[a, b]',
        '!!str 1',
        '!y z',
        '',
        'a: b',
        '@',
      ),
      fc.string({ unit: fc.constantFrom(...Array.from('ab:#-&*!|>{}[],\'"% \n01')), maxLength: 8 }),
    );
    const line = fc.tuple(
      fc.constantFrom('', '  ', '- ', '    '),
      fc.constantFrom('k', 'l', 'y', '1', '<<', '"m"'),
      word,
    );
    const text = fc
      .array(line, { maxLength: 6 })
      .map((lines) => lines.map(([indent, key, value]) => `${indent}${key}: ${value}\n`).join(''));
    let simple = 0;
    fc.assert(
      fc.property(text, (yaml) => {
        const read = readSimpleYaml(yaml, {});
        if (read === undefined) return;
        simple += 1;
        const other = closely(yaml);
        expect({ yaml, documents: other.documents.slice(0, -1), problems: other.problems }).toEqual({
          yaml,
          documents: read,
          problems: [],
        });
      }),
      { numRuns: 3_000, seed: 11 },
    );
    expect(simple).toBeGreaterThan(200);
  });
});

describe('YAML that was made to take long', () => {
  it.each([
    ['white space', `a: 1\n${`${' '.repeat(200)}\n`.repeat(5000)}b: 2\n`],
    ['empty lines', `a: 1\n${'\n'.repeat(1_000_000)}b: 2\n`],
    ['indentation', `a: 1\n${' '.repeat(1_000_000)}\nb: 2\n`],
    ['brackets', '['.repeat(100_000)],
    ['braces', `a: ${'{'.repeat(900)}`],
    ['braces with keys', `a: ${'{a: '.repeat(20_000)}`],
  ])('is read or refused at once where it is full of %s', (_, text) => {
    const spentMs = processorTime();
    parseYaml(text, 'values.yaml');
    expect(spentMs()).toBeLessThan(5_000);
  });
});
