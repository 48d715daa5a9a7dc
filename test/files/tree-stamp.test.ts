import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { treeStamp } from '../../src/files/tree-stamp.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

let folder: string;

beforeEach(async () => {
  folder = await temporaryFolder();
  mkdirSync(join(folder, 'tree/below'), { recursive: true });
  writeFileSync(join(folder, 'tree/a'), 'one');
  writeFileSync(join(folder, 'tree/below/b'), 'two');
  writeFileSync(join(folder, 'outside'), 'three');
  symlinkSync('../outside', join(folder, 'tree/link'));
  later(10);
});

afterEach(() => void vi.useRealTimers());

/** As if so many seconds had gone by since now. */
function later(seconds: number): void {
  vi.useRealTimers();
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + seconds * 1000 });
}

const stamp = (): string | undefined => treeStamp([join(folder, 'tree')]);

describe('the stamp of a tree', () => {
  it('is the same as long as nothing changes, reading included', () => {
    const before = stamp();
    expect(before).toMatch(/^[0-9a-f]{64}$/);
    expect(readFileSync(join(folder, 'tree/a'), 'utf8')).toBe('one');
    expect(stamp()).toBe(before);
  });

  it.each<[string, () => void]>([
    ['a file has other content', () => writeFileSync(join(folder, 'tree/a'), 'other')],
    [
      'a file has other content of the same length and the same time',
      () => {
        const time = new Date('2020-01-01');
        utimesSync(join(folder, 'tree/a'), time, time);
        writeFileSync(join(folder, 'tree/a'), 'eno');
        utimesSync(join(folder, 'tree/a'), time, time);
      },
    ],
    ['a file below has', () => writeFileSync(join(folder, 'tree/below/b'), 'owt')],
    ['what a link leads to has', () => writeFileSync(join(folder, 'outside'), 'other')],
    ['a file is new', () => writeFileSync(join(folder, 'tree/c'), '')],
    ['a file is gone', () => rmSync(join(folder, 'tree/a'))],
    ['a file has another name', () => renameSync(join(folder, 'tree/a'), join(folder, 'tree/z'))],
    ['a file may not be read any more', () => chmodSync(join(folder, 'tree/a'), 0)],
  ])('is another one where %s', (_name, change) => {
    const before = stamp();
    change();
    later(10);
    expect(stamp()).toMatch(/^[0-9a-f]{64}$/);
    expect(stamp()).not.toBe(before);
  });

  it('is none while a second change might not show: for two seconds', () => {
    later(1);
    expect(stamp()).toBeUndefined();
    later(3);
    expect(stamp()).toBeDefined();
  });

  it('is none for what is not there, and for what is no file: a pipe can be read once', () => {
    expect(treeStamp([join(folder, 'nothing')])).toBeUndefined();
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    later(10);
    expect(treeStamp([join(folder, 'pipe')])).toBeUndefined();
    expect(treeStamp(['/dev/null'])).toBeUndefined();
  });

  it('does not go round in circles', () => {
    symlinkSync('..', join(folder, 'tree/below/up'));
    later(10);
    expect(stamp()).toBeDefined();
  });
});
