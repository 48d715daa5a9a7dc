import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { readArchive } from '../../src/files/read-archive.ts';
import { writeArchive } from '../../src/files/write-archive.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const long = `chart/${'folder/'.repeat(30)}${'f'.repeat(150)}.yaml`;
const files = new Map([
  ['chart/b.yaml', Buffer.from('b')],
  ['chart/a.yaml', Buffer.alloc(200_000, 'a')],
  ['chart/empty', Buffer.alloc(0)],
  ['chart/ümlaut.txt', Buffer.from('ü')],
  [long, Buffer.from('long')],
]);

describe('writeArchive', () => {
  it('writes what the system tar and gzip read', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'a.tar.gz'), writeArchive(files));
    execFileSync('gzip', ['--test', 'a.tar.gz'], { cwd: folder });
    execFileSync('tar', ['-xzf', 'a.tar.gz'], { cwd: folder });
    for (const [path, content] of files) expect(content.equals(await readFile(join(folder, path))), path).toBe(true);
    const list = execFileSync('tar', ['-tvzf', 'a.tar.gz'], {
      cwd: folder,
      env: { TZ: 'UTC', PATH: process.env.PATH },
    });
    const lines = list.toString().trim().split('\n');
    expect(lines[0]).toBe('-rw-r--r-- 0/0          200000 1970-01-01 00:00 chart/a.yaml');
    expect(lines.length).toBe(5);
  });

  it('gives the same bytes whatever the order of the files', () => {
    const reversed = new Map([...files].reverse());
    expect(writeArchive(reversed).equals(writeArchive(files))).toBe(true);
  });

  it('gives the same bytes for ever', () => {
    const bytes = writeArchive(new Map([['a', Buffer.from('a\n')]]));
    // As it was when the first bundle had one: another version of Node.js or of a library must not change it.
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(
      '4846d1b07b88b6fba9716e6651becbe9f84435c01246a244ae7c4559a4ad8f89',
    );
  });

  it('is read back, empty too', async () => {
    const read = await readArchive(writeArchive(files), { where: 'x' });
    expect([...read.keys()].sort()).toEqual([...files.keys()].sort());
    for (const [path, content] of files) expect(read.get(path)?.equals(content), path).toBe(true);
    expect(await readArchive(writeArchive(new Map()), { where: 'x' })).toEqual(new Map());
  });
});
