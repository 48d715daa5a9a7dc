import { execFileSync } from 'node:child_process';

import { expect, it } from 'vitest';

import { formatJunit } from '../../src/report/junit.ts';

/** Read by another program: name and failures of each test case. */
function read(xml: string): unknown {
  const script = [
    'import sys, json, xml.etree.ElementTree as tree',
    'root = tree.fromstring(sys.stdin.buffer.read())',
    'cases = [[c.get("classname"), c.get("name"), [f.text for f in c.findall("failure")]] for c in root.iter("testcase")]',
    'print(json.dumps([root.get("tests"), root.get("failures"), cases]))',
  ].join('\n');
  return JSON.parse(execFileSync('python3', ['-c', script], { input: xml }).toString());
}

it('JUnit XML is well-formed whatever the names are, and keeps them', () => {
  const names = ['plain:1', '<a href="x">&amp;\'</a>', ']]>', 'line\nbreak\tand tab', '\u{1F4E6} ümlaut', '<!--'];
  const cases = names.map((name, number) => ({
    name,
    group: `group ${name}`,
    failures: number === 0 ? [] : [name, 'b'],
  }));
  expect(read(formatJunit('suite "<&', cases))).toEqual([
    '6',
    '5',
    names.map((name, number) => [`group ${name}`, name, number === 0 ? [] : [`${name}\nb`]]),
  ]);
});

it('JUnit XML has a sign for what no XML can have', () => {
  const bad = `a\u0000b\u001b[31mc\ud800d\ufffe`;
  expect(read(formatJunit('s', [{ name: bad, group: 'g', failures: [] }]))).toEqual([
    '1',
    '0',
    [['g', 'a\ufffdb\ufffd[31mc\ufffdd\ufffd', []]],
  ]);
});

it('JUnit XML of nothing has no test cases', () => {
  expect(read(formatJunit('s', []))).toEqual(['0', '0', []]);
});
