import { describe, expect, it } from 'vitest';

import { whyUnreadableYaml } from '../../src/content/yaml-limits.ts';
import { readTextInput } from '../../src/profile/inputs/text-input.ts';
import { parseYaml } from '../../src/profile/yaml-text.ts';
import { processorTimeOf } from '../support/processor-time.ts';

const pad = `# ${'x'.repeat(70_000)}\n`;

describe('YAML that is not read', () => {
  it('is long, and wrong: its first mistake is told, and nothing of what it says', () => {
    expect(whyUnreadableYaml(`${pad}password: "hunter2\n`)).toMatch(/^line \d+, column \d+: /);
    expect(whyUnreadableYaml(`${pad}a: 1\nb: }hunter2\n`)).toMatch(/^line 3, column \d+: (?!.*hunter2)/);
    expect(whyUnreadableYaml('a: }\n')).toBeUndefined();
  });

  it.each([
    ['several documents', 'a: 1\n---\nb: [1, {c: d}]\n...\n'],
    ['tags that nobody knows', 'a: !x 1\nb: !!binary aGVsbG8=\nc: !y {d: 1}\n'],
    ['anchors and merges', 'a: &a {b: 1}\nc: *a\nd:\n  <<: *a\n'],
    ['texts in blocks', 'a: |\n  }}} {{ - - -\n  : :\nb: >-\n  x\n'],
  ])('is not long and right, with %s', (_, text) => {
    expect(whyUnreadableYaml(`${pad}${text}`)).toBeUndefined();
  });

  it('has a key twice, where the last one does not count', () => {
    expect(whyUnreadableYaml(`${pad}a: 1\na: 2\n`)).toMatch(/^line 3, .*duplicated/);
    expect(whyUnreadableYaml(`${pad}a: 1\na: 2\n`, { allowsDuplicateKeys: true })).toBeUndefined();
    const text = `${pad}a: {{.spectro.var.x}}\na: 2\nb: 1\nb: 2\n`;
    expect(parseYaml(text, 'file').problems).toHaveLength(1);
    const { documents, warnings } = parseYaml(text, 'file', { allowsDuplicateKeys: true });
    expect(documents).toEqual([{ a: 2, b: 2 }]);
    expect(warnings).toEqual([expect.stringMatching(/^file: line 3, .*; the last one counts$/)]);
  });

  it('has many keys: none is compared with each other one', () => {
    const keys = Array.from({ length: 20_000 }, (_, number) => `k${number}: {{.spectro.var.x}}\n`).join('');
    expect(processorTimeOf(() => expect(parseYaml(keys, 'file').problems).toEqual([]))).toBeLessThan(20_000);
  });

  /** It took a second and 300 MB for each 250 KB. */
  it.each(['}  }\n }\n', 'a: }\n', ']\n', '@\n'])('takes no time, with a megabyte of %j', (piece) => {
    const text = `a: 1\n${piece.repeat(1_000_000 / piece.length)}`;
    const ms = processorTimeOf(() => {
      const { problems, startsWithMapping } = parseYaml(text, 'file');
      expect(problems).toHaveLength(1);
      expect(startsWithMapping).toBe(true);
    });
    expect(ms).toBeLessThan(3000);
  });

  it('may be a long list of references', () => {
    const text = Array.from({ length: 5000 }, (_, number) => `registry.example/a/b:${number}\n# said twice\n`).join('');
    const source = { file: 'images.txt', digest: `sha256:${'a'.repeat(64)}` } as const;
    expect(text.length).toBeGreaterThan(100_000);
    expect(readTextInput(text, source)).toMatchObject({ kind: 'list' });
  });
});
