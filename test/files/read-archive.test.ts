import { execFileSync } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { describe, expect, it } from 'vitest';

import { readArchive } from '../../src/files/read-archive.ts';
import { expectError } from '../support/expect-error.ts';
import { craftTarGzip, paxRecord, tarGzip, writeFiles } from '../support/tar-archive.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const where = 'pack.tar.gz';

async function texts(bytes: Buffer): Promise<Record<string, string>> {
  const files = await readArchive(bytes, { where });
  return Object.fromEntries([...files].map(([path, content]) => [path, content.toString('utf8')]));
}

describe('readArchive', () => {
  // Its first 100 characters are a folder's: what says that it goes on counts.
  const long = `${'a-long-folder-name/'.repeat(12)}${'f'.repeat(120)}.yaml`;

  it.each(['ustar', 'pax', 'gnu', 'oldgnu', 'v7'])('reads what tar --format=%s writes', async (format) => {
    const folder = await temporaryFolder();
    const files = { 'pack/a.txt': 'a', 'pack/empty': '', 'pack/sub/b.bin': 'b'.repeat(5000) };
    const withLong =
      format === 'pax' || format === 'gnu' ? { ...files, [`pack/${long}`]: 'long', 'pack/ü.txt': 'ü' } : files;
    writeFiles(folder, withLong);
    expect(await texts(execFileSync('tar', ['-cz', `--format=${format}`, '-C', folder, 'pack']))).toEqual(withLong);
  });

  it('passes over folders, "./" and the header of git archive', async () => {
    const entries = [
      { path: 'pax_global_header', type: 'GlobalExtendedHeader', content: paxRecord('comment', 'a commit') },
      { path: './', type: 'Directory' },
      { path: './a/', type: 'Directory' },
      { path: './a/./b', content: 'b' },
      { path: 'c\\d', content: 'from Windows' },
    ] as const;
    expect(await texts(craftTarGzip(entries))).toEqual({ 'a/b': 'b', 'c/d': 'from Windows' });
  });

  it.each([
    ['a path out of it', { path: 'a/../../b' }, '"a/../../b"'],
    ['a path out of it, by Windows', { path: 'a\\..\\..\\b' }, 'no path inside'],
    ['an absolute path', { path: '/etc/cron.d/x' }, '"/etc/cron.d/x"'],
    ['a path with a drive', { path: 'C:/x' }, '"C:/x"'],
    ['a folder out of it', { path: '../x/', type: 'Directory' }, '"../x/"'],
    ['a symbolic link', { path: 'a/link', type: 'SymbolicLink', linkpath: '/etc/passwd' }, '"a/link"'],
    ['a hard link', { path: 'a/link', type: 'Link', linkpath: '/etc/passwd' }, '"a/link"'],
    ['a character device', { path: 'a/tty', type: 'CharacterDevice' }, '"a/tty"'],
    ['a block device', { path: 'a/disk', type: 'BlockDevice' }, '"a/disk"'],
    ['a pipe', { path: 'a/pipe', type: 'FIFO' }, '"a/pipe"'],
    ['a sparse file', { path: 'a/sparse', type: 'SparseFile' }, '"a/sparse"'],
    ['a file without a name', { path: '.' }, 'without a name'],
    ['a file that goes on after the end', { path: 'a', size: 10_000 }, 'cut short in "a"'],
  ] as const)('refuses %s', async (_what, entry, part) => {
    const error = await expectError('ARCHIVE_INVALID', part, () => texts(craftTarGzip([{ path: 'ok' }, entry])));
    expect(error.message).toContain(where);
    expect(error.hint).toBeDefined();
  });

  it.each([
    ['a path out of it', paxRecord('path', '../../evil'), '"../../evil"'],
    ['a sparse file', paxRecord('GNU.sparse.major', '1') + paxRecord('GNU.sparse.name', 'x'), 'sparse'],
    ['a size that is none', paxRecord('size', '-1'), 'bad size'],
    ['a size beyond the end', paxRecord('size', '999999999'), 'cut short'],
    ['a NUL in the path', paxRecord('path', 'a\0b'), 'no path inside'],
    ['a record that is cut short', '99 path=x\n', 'damaged header'],
    ['a record without a length', 'path=x\n', 'damaged header'],
  ])('refuses a pax header with %s', async (_what, content, part) => {
    const entries = [{ path: 'PaxHeader', type: 'ExtendedHeader', content } as const, { path: 'innocent' }];
    await expectError('ARCHIVE_INVALID', part, () => texts(craftTarGzip(entries)));
  });

  it('takes path and size of a pax header for the next entry only', async () => {
    const content = paxRecord('path', 'renamed') + paxRecord('size', '3');
    const entries = [
      { path: 'PaxHeader', type: 'ExtendedHeader', content },
      { path: 'short', content: 'abc', size: 0 },
      { path: 'next', content: 'd' },
    ] as const;
    expect(await texts(craftTarGzip(entries))).toEqual({ renamed: 'abc', next: 'd' });
  });

  it('refuses the same file twice, in whatever spelling', async () => {
    const twice = [
      { path: 'a/b', content: '1' },
      { path: './a//b', content: '2' },
    ];
    await expectError('ARCHIVE_INVALID', '"a/b" is in it twice', () => texts(craftTarGzip(twice)));
  });

  it('refuses links that the system tar packed', async () => {
    const folder = await temporaryFolder();
    writeFiles(folder, { 'pack/a': 'a' });
    symlinkSync('/etc/passwd', join(folder, 'pack', 'link'));
    const packed = execFileSync('tar', ['-cz', '-C', folder, 'pack']);
    await expectError('ARCHIVE_INVALID', '"pack/link" is neither a file nor a folder (SymbolicLink)', () =>
      texts(packed),
    );
  });

  it('refuses an archive that unpacks to too much, without unpacking it', async () => {
    const bomb = gzipSync(Buffer.alloc(200 * 1024 * 1024));
    expect(bomb.byteLength).toBeLessThan(1024 * 1024);
    const before = process.memoryUsage.rss();
    await expectError('ARCHIVE_INVALID', 'more than 1000000 bytes', () =>
      readArchive(bomb, { where, maxBytes: 1_000_000 }),
    );
    expect(process.memoryUsage.rss() - before).toBeLessThan(100 * 1024 * 1024);
    await expectError('ARCHIVE_INVALID', 'more than 104857600 bytes', () => readArchive(bomb, { where }));
  });

  it('refuses a file that is too large, and too many entries', async () => {
    const archive = tarGzip({ 'a/1': 'x', 'a/2': 'x'.repeat(100) });
    await expectError('ARCHIVE_INVALID', '"a/2" has 100 bytes; at most 99', () => {
      return readArchive(archive, { where, maxFileBytes: 99 });
    });
    await expectError('ARCHIVE_INVALID', 'more than 2 entries', () => readArchive(archive, { where, maxEntries: 2 }));
  });

  it('does not unpack twice', async () => {
    const inner = tarGzip({ a: 'a' });
    await expectError('ARCHIVE_INVALID', 'no tar archive', () => texts(gzipSync(inner)));
  });

  it.each([
    ['nothing', Buffer.alloc(0), 'no gzip file'],
    ['text', Buffer.from('<html>not found</html>'), 'no gzip file'],
    ['a cut archive', tarGzip({ a: 'x'.repeat(3000) }).subarray(0, 60), 'no gzip file, or is damaged'],
    ['something else in gzip', gzipSync(Buffer.alloc(2000, 'x')), 'no tar archive'],
    ['less than a header', gzipSync(Buffer.from('x')), 'no tar archive'],
  ])('refuses %s', async (_what, bytes, part) => {
    await expectError('ARCHIVE_INVALID', part, () => texts(bytes));
  });
});
