import { readFile, readdir } from 'node:fs/promises';

import { describe, expect, it } from 'vitest';

import { readChartMetadata } from '../../src/artifact/chart-metadata.ts';
import { depthInDoubt } from '../../src/content/yaml-depth.ts';
import { whyUnreadableYaml } from '../../src/content/yaml-limits.ts';
import { parseMappingRules } from '../../src/oci-client/mapping-rules.ts';
import { parseYaml } from '../../src/profile/yaml-text.ts';
import { readPublicKeys } from '../../src/trust/read-public-keys.ts';
import { processorTimeOf } from '../support/processor-time.ts';

const steps = (piece: string, count: number): string =>
  Array.from({ length: count }, (_, depth) => `${' '.repeat(depth)}${piece}`).join('\n');

describe('YAML that nests too deep', () => {
  it.each([
    ['brackets', '['.repeat(200)],
    ['braces over lines', '{a:\n'.repeat(200)],
    ['lists in a line', '- '.repeat(200)],
    ['keys in a line', '? '.repeat(20)],
    ['keys further and further to the right', steps('?', 20)],
    ['keys in lists', steps('- ?', 20)],
    ['mappings in a line', 'a: '.repeat(200)],
    ['mappings of quoted keys', '"a":'.repeat(200)],
    ['keys that are lists', '[]: '.repeat(200)],
    ['keys that have commas', 'a,a: '.repeat(200)],
    ['lists further and further to the right', steps('-', 300)],
    ['mappings further and further to the right', steps('a:', 300)],
  ])('is told by its %s', (_, text) => {
    expect(whyUnreadableYaml(text)).toMatch(/^line \d+, column \d+: /);
    expect(whyUnreadableYaml(`x: 1\n${text}`)).toMatch(/^line \d+, column \d+: /);
  });

  it.each([
    [
      'JSON in one line',
      JSON.stringify(Array.from({ length: 1000 }, (_, a) => ({ a, b: { c: [a], d: { e: 'f: g' } } }))),
    ],
    ['JSON in one line, with spaces', JSON.stringify({ a: new Array(1000).fill({ b: 1 }) }).replaceAll(':', ': ')],
    ['a list in a list', '- - 1\n  - 2\n- - 3\n'],
    ['a long list', '- a: 1\n  b: 2\n'.repeat(5000)],
    ['keys with question marks', '? a\n: 1\n? - b\n: 2\n'.repeat(1000)],
    ['questions', `a: ${'is it? or not ? '.repeat(8)}\n`.repeat(100)],
    ['a fingerprint', `pin: ${'AB:'.repeat(200)}CD\n`],
    ['a ruler in a comment', `# ${'-'.repeat(500)}\n`],
    ['a wide line', `a: |\n${' '.repeat(200)}x\n`],
    ['brackets that close', '[] {} '.repeat(1000)],
  ])('is not %s', (_, text) => {
    expect(depthInDoubt(text)).toBeUndefined();
  });

  const inOneLine = (text: string): string => `values: ${JSON.stringify(text)}\n`;

  it.each([
    ['values in one line', inOneLine('a: 1\n'.repeat(200))],
    ['lists in one line', inOneLine(' - b\n'.repeat(200))],
    ['a script with colours', `script: |\n${'  echo "\\033[31m"\n'.repeat(200)}`],
    ['questions in French', inOneLine('Est-ce vrai ? '.repeat(40))],
    ['a text far to the right', `a: |\n  b\n${' '.repeat(300)}x\n`],
    ['a comment', `# ${'a: - '.repeat(200)}\nb: 1\n`],
  ])('is doubted for, and then not found in, %s', (_, text) => {
    expect(depthInDoubt(text)).toBeDefined();
    expect(whyUnreadableYaml(text)).toBeUndefined();
    const macro = `${text}c: "{{.spectro.var.x}}"\n`;
    expect(parseYaml(macro, 'file')).toMatchObject({ problems: [], documents: [{ c: '{{.spectro.var.x}}' }] });
  });

  it('is told where a text is long too', () => {
    expect(whyUnreadableYaml(`# ${'x'.repeat(70_000)}\n${'- '.repeat(200)}`)).toMatch(/nested too deep$/);
  });

  it('is none of our own files', async () => {
    for (const name of (await readdir('manifests')).filter((each) => /\.(ya?ml|json)$/.test(each))) {
      expect([name, depthInDoubt(await readFile(`manifests/${name}`, 'utf8'))]).toEqual([name, undefined]);
    }
  });

  /** 600 bytes of `? ` took 14 seconds, and 2,000 the process. */
  it.each(['? ', '- ', 'a: ', '!a ', '&a ', '*a ', '? - '])(
    'is refused at once, whoever reads %j again and again',
    (piece) => {
      const text = piece.repeat(20_000);
      const ms = processorTimeOf(() => {
        expect(parseYaml(text, 'file').problems).not.toEqual([]);
        expect(() => readChartMetadata(Buffer.from(text), undefined, 'chart')).toThrow('Chart.yaml');
        expect(() => parseMappingRules(text, 'rules')).toThrow('mapping rules');
        expect(() => readPublicKeys([{ name: 'key', text }])).toThrow('no public key');
      });
      expect(ms).toBeLessThan(4000);
    },
  );

  it('is not what a chart has as keys of keys: they are refused too', () => {
    expect(() => readChartMetadata(Buffer.from(`${'? '.repeat(10)}a\n`), undefined, 'chart')).toThrow('no text');
  });
});
