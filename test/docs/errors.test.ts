import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { exitCodes } from '../../src/errors.ts';

interface Row {
  readonly code: string;
  readonly exitCode: number;
  readonly meaning: string;
  readonly advice: string;
}

const text = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');

/** The rows of the table of codes: those whose first cell is a code. */
const rows: readonly Row[] = text
  .split('\n')
  .map((line) => line.split(/(?<!\\)\|/).map((cell) => cell.trim()))
  .flatMap(([, code = '', exitCode = '', meaning = '', advice = '']) =>
    /^`[A-Z_]+`$/.test(code) ? [{ code: code.slice(1, -1), exitCode: Number(exitCode), meaning, advice }] : [],
  );

describe('the table of errors', () => {
  it('has every code once, in the order of the source, with its exit code', () => {
    expect(rows.map(({ code, exitCode }) => [code, exitCode])).toEqual(Object.entries(exitCodes));
  });

  it('says of each what it means and what to do', () => {
    for (const { code, meaning, advice } of rows) {
      expect(meaning, code).toMatch(/^\S.{15,}[.]$/);
      expect(advice, code).toMatch(/^\S.{5,}[.]$/);
    }
  });

  it('explains every exit code that there is', () => {
    const explained = [...text.matchAll(/^\| (?<code>\d+) +\|/gm)].map(({ groups }) => Number(groups?.code));
    expect(explained).toEqual([0, ...new Set(Object.values(exitCodes))].sort((a, b) => a - b));
  });
});
