import { describe, expect, it } from 'vitest';

import { readManifests } from '../../src/discovery/read-manifests.ts';
import { findIn } from './objects.ts';

const problemsOf = (text: string): string[] => readManifests(text, 'chart').problems.map(({ message }) => message);
const valuesOf = (text: string): unknown[] => readManifests(text, 'chart').documents.map(({ value }) => value);

describe('readManifests', () => {
  it('reads what Helm renders: documents with their source, kind, name and line', () => {
    const text = `---
# Source: web/crds/crd.yaml
---
apiVersion: v1
kind: One
metadata:
  name: first
---
apiVersion: v1
kind: Two
---
# Source: web/templates/empty.yaml
---
# Source: web/charts/db/templates/three.yaml

# A comment.
kind: Three
metadata: { name: third }
`;
    const documents = readManifests(text, 'chart').documents.map(({ kind, name, line, source }) => ({
      kind,
      name,
      line,
      source,
    }));
    expect(documents).toEqual([
      { kind: 'One', name: 'first', line: 4, source: 'web/crds/crd.yaml' },
      { kind: 'Two', name: undefined, line: 9, source: 'web/crds/crd.yaml' },
      { kind: 'Three', name: 'third', line: 17, source: 'web/charts/db/templates/three.yaml' },
    ]);
  });

  it('reads comments, anchors, aliases and merge keys', () => {
    const text = `
# image: quay.io/org/old:1
x-common: &common { image: "nginx:1.27", name: web }
spec:
  containers:
    - <<: *common
      name: other # image: quay.io/org/older:1
    - *common
`;
    expect(findIn(text).filter(({ class: itsClass }) => itsClass === 'rendered')).toEqual([
      { image: 'nginx:1.27', class: 'rendered', path: 'spec.containers[0].image' },
      { image: 'nginx:1.27', class: 'rendered', path: 'spec.containers[1].image' },
    ]);
  });

  it('lets the last of equal keys count, and ignores tags that it does not know', () => {
    expect(valuesOf('a: 1\na: 2\n')).toEqual([{ a: 2 }]);
    expect(valuesOf('a: !Ref x\nb: !!binary aGk=\nc: !custom { d: [1] }\n')).toEqual([
      { a: 'x', b: 'aGk=', c: { d: [1] } },
    ]);
  });

  it('reads plain words as YAML 1.2 does, and leaves dates as they are', () => {
    expect(valuesOf('[yes, true, 2026-01-01, 1.10, "1.10", ~]\n')).toEqual([
      ['yes', true, '2026-01-01', 1.1, '1.10', null],
    ]);
  });

  it('reads CR LF, a byte order mark, directives, and the end of a document', () => {
    expect(valuesOf('\uFEFF%YAML 1.2\r\n---\r\na: 1\r\n...\r\n---\r\n- b\r\n--- # c\r\n{ d: 2 }\r\n')).toEqual([
      { a: 1 },
      ['b'],
      { d: 2 },
    ]);
  });

  it('takes a marker in a block of text for what it is: the end of the document', () => {
    expect(valuesOf('a: |\n  text\n  --- no marker\n---\nb: 1\n')).toEqual([{ a: 'text\n--- no marker\n' }, { b: 1 }]);
  });

  it('leaves out what is empty', () => {
    expect(readManifests('', 'chart')).toEqual({ documents: [], problems: [] });
    expect(readManifests('---\n# only a comment\n---\nnull\n---\n', 'chart')).toEqual({ documents: [], problems: [] });
  });

  it('reports a document that cannot be read, with its line, and reads the others', () => {
    const { documents, problems } = readManifests('a: 1\n---\nb: 2\n c: "secret"\n---\nd: 3\n', 'chart');
    expect(documents.map(({ value }) => value)).toEqual([{ a: 1 }, { d: 3 }]);
    expect(problems.map(({ code, message }) => [code, message])).toEqual([
      ['PROFILE_INVALID', 'chart: line 4: bad indentation of a mapping entry'],
    ]);
  });

  it('quotes nothing of the text in its problems', () => {
    expect(problemsOf('a: *hunter2\n').join('\n')).not.toContain('hunter2');
    expect(problemsOf('%YAML hunter2\n').join('\n')).not.toContain('hunter2');
    expect(problemsOf('a: !<hunter2"> x\n').join('\n')).not.toContain('hunter2');
  });

  it('sums up where many documents cannot be read', () => {
    const problems = problemsOf('---\n{ a\n'.repeat(12));
    expect(problems).toHaveLength(6);
    expect(problems[5]).toBe('chart: 7 more documents cannot be read');
  });
});

describe('readManifests on hostile text', () => {
  it('refuses aliases that make much of little', () => {
    const rows = ['a0: &a0 [x, x, x, x, x, x, x, x, x]'];
    for (let row = 1; row < 12; row += 1)
      rows.push(
        `a${row}: &a${row} [${Array(9)
          .fill(`*a${row - 1}`)
          .join(', ')}]`,
      );
    const { documents, problems } = readManifests(`${rows.join('\n')}\n---\nkind: Pod\n`, 'chart');
    expect(documents).toHaveLength(1);
    expect(problems.map(({ code, message }) => `${code} ${message}`)).toEqual([
      'PROFILE_INVALID chart: line 1: its aliases make too much of a short text',
    ]);
  });

  it('refuses a value that contains itself', () => {
    expect(problemsOf('a: &a\n  b: *a\n')).toEqual(['chart: line 1: its aliases make too much of a short text']);
  });

  it('refuses aliases in a document inside a ConfigMap: nothing is found there, and nothing hangs', () => {
    const bomb = ['a: &a { image: "nginx:1" }'];
    for (let row = 0; row < 40; row += 1)
      bomb.push(
        `b${row}: &b${row} [${Array(9)
          .fill(row === 0 ? '*a' : `*b${row - 1}`)
          .join(', ')}]`,
      );
    const indented = bomb.join('\n').replace(/^/gm, '    ');
    const found = findIn(`apiVersion: v1\nkind: ConfigMap\ndata:\n  bomb.yaml: |\n${indented}\n`);
    expect(found.map(({ image }) => image)).toEqual(['nginx:1']);
  });

  it('allows anchors that are used often', () => {
    const uses = Array.from({ length: 500 }, (_, index) => `- { name: n${index}, labels: *labels }`).join('\n');
    expect(problemsOf(`x: &labels { a: 1, b: 2, c: 3, d: 4 }\nlist:\n${uses}\n`)).toEqual([]);
  });

  it('refuses what is nested too deep, and what is too large', () => {
    expect(problemsOf(`a: ${'['.repeat(100_000)}`)[0]).toMatch(/^chart: line 1: nesting exceeded maxDepth/);
    expect(problemsOf(`a: ${'x'.repeat(32 * 1024 * 1024)}`)).toEqual([
      'chart: has 33554435 bytes; at most 33554432 bytes of YAML are read',
    ]);
  });

  it('refuses a merge that goes on and on', () => {
    const keys = Array.from({ length: 200 }, (_, index) => `k${index}: 1`).join(', ');
    const merges = Array.from({ length: 500 }, () => '- { <<: *a }').join('\n');
    expect(problemsOf(`a: &a { ${keys} }\nb:\n${merges}\n`)[0]).toMatch(/merge keys exceeded/);
  });

  it('keeps the keys of objects apart from their prototype', () => {
    const [value] = valuesOf('__proto__: { image: "a:1" }\nconstructor: 1\n');
    expect(Object.keys(value ?? {})).toEqual(['__proto__', 'constructor']);
    expect(({} as Record<string, unknown>).image).toBeUndefined();
  });
});
