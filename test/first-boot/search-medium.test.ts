import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, it, vi } from 'vitest';

import { searchMedium } from '../../src/first-boot/search-medium.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const waiting = { timeout: 60_000 };

it('looks into the other folders of a medium where one cannot be read, and says so', async () => {
  const folder = await temporaryFolder();
  await mkdir(join(folder, 'content'));
  await writeFile(join(folder, 'content', 'a.tar.zst'), '');
  // Of a process that has ended, and that nobody has waited for, a folder can be found and not be read.
  const parent = spawn('sh', ['-c', 'exec 3<&0; cat <&3 & echo $!; exec sleep 60 3<&-'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  try {
    const [output] = (await once(parent.stdout, 'data')) as [Buffer];
    const ended = `/proc/${output.toString().trim()}`;
    await vi.waitFor(() => expect(readFileSync(`/proc/${parent.pid}/comm`, 'utf8')).toBe('sleep\n'), waiting);
    parent.stdin.end();
    await vi.waitFor(() => expect(readFileSync(join(ended, 'stat'), 'utf8')).toMatch(/\) Z /), waiting);
    await symlink(join(ended, 'net'), join(folder, 'broken'));
    const { files, problems } = await searchMedium({ name: "'medium'", folder, followsLinks: true });
    expect(files.map(({ path }) => path)).toEqual([join(folder, 'content', 'a.tar.zst')]);
    expect(problems.map(({ code }) => code)).toEqual(['FILE_FAILED']);
    expect(problems[0]?.message).toContain(join(folder, 'broken'));
  } finally {
    parent.kill();
  }
});

it('finds what lies near the top of a medium with very many files, and says that it did not look at all of them', async () => {
  const folder = await temporaryFolder();
  await mkdir(join(folder, 'a', 'pictures'), { recursive: true });
  await mkdir(join(folder, 'b'));
  await writeFile(join(folder, 'b', 'near.tar.zst'), '');
  const names = Array.from({ length: 20_001 }, (_, index) => join(folder, 'a', 'pictures', `${index}.jpg`));
  for (let start = 0; start < names.length; start += 1_000) {
    await Promise.all(names.slice(start, start + 1_000).map((name) => writeFile(name, '')));
  }
  const { files, problems } = await searchMedium({ name: "'medium'", folder, followsLinks: false });
  expect(files.map(({ path }) => path)).toEqual([join(folder, 'b', 'near.tar.zst')]);
  expect(problems.map(({ message }) => message)).toEqual([
    "'medium' has more than 20000 files: not all of it was looked at",
  ]);
});
