import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeAll, describe, expect, it } from 'vitest';

import { elfMachine, stripElf } from '../../src/packaging/strip-elf.ts';
import { expectError } from '../support/expect-error.ts';
import { runProgram } from '../support/run-program.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

let folder: string;
let program: Buffer;

beforeAll(async () => {
  folder = await temporaryFolder();
  const source = `
    #include <cstdio>
    #include <stdexcept>
    thread_local int state = 3;
    int main(int count, char **) {
      try { if (count > 1) throw std::runtime_error("thrown"); }
      catch (const std::exception &error) { std::printf("%s %d\\n", error.what(), state); return 7; }
      return 0;
    }`;
  await writeFile(join(folder, 'program.cc'), source);
  runProgram('g++', ['-g', '-o', 'program', 'program.cc'], { cwd: folder });
  program = await readFile(join(folder, 'program'));
});

/** Names of sections, in order, as binutils reads them. */
function sections(path: string): readonly string[] {
  const text = runProgram('readelf', ['--section-headers', '--wide', path]).toString();
  return [...text.matchAll(/^ +\[ *\d+\] (\.\S+)/gm)].map(([, name = '']) => name);
}

describe('a stripped executable', () => {
  it('runs as before: exceptions, thread-local variables, shared libraries', async () => {
    await writeFile(join(folder, 'stripped'), stripElf(program), { mode: 0o755 });
    const { status, stdout, stderr } = spawnSync(join(folder, 'stripped'), ['x'], { encoding: 'utf8' });
    expect({ status, stdout, stderr }).toEqual({ status: 7, stdout: 'thrown 3\n', stderr: '' });
  });

  it('has the sections that strip leaves, without those that are not loaded', async () => {
    await writeFile(join(folder, 'stripped'), stripElf(program));
    runProgram('strip', ['--strip-all', '--remove-section=.comment', '-o', 'expected', 'program'], { cwd: folder });
    expect(sections(join(folder, 'stripped'))).toEqual(sections(join(folder, 'expected')));
    expect(sections(join(folder, 'program'))).toContain('.debug_info');
    const checked = spawnSync('readelf', ['--all', '--wide', join(folder, 'stripped')], { encoding: 'utf8' });
    expect(checked.stderr).toBe('');
  });

  it('is the same when it is stripped again', () => {
    const stripped = stripElf(program);
    expect(stripElf(stripped).equals(stripped)).toBe(true);
    expect(stripped.byteLength).toBeLessThan(program.byteLength / 2);
  });

  it('is told from other files, and from damaged ones', async () => {
    expect(elfMachine(program)).toBe(process.arch === 'arm64' ? 183 : 62);
    const other = Buffer.from(program);
    other.writeUInt8(1, 4);
    for (const file of [Buffer.from('#!/bin/sh\n'), Buffer.alloc(0), other, program.subarray(0, 2000)]) {
      await expectError('UNSUPPORTED', 'cannot be stripped', () => stripElf(file));
    }
  });
});
