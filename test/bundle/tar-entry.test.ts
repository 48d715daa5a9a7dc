import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { tarEntry, tarEntryBytes, tarHeader, tarPaddingBytes } from '../../src/bundle/tar-entry.ts';
import { ustarHeader } from '../support/bundle-archive.ts';
import { runProgram } from '../support/run-program.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const blob = `blobs/sha256/${'ab'.repeat(32)}`;

/** What GNU tar says of an archive that holds one sparse file of `size` bytes. */
async function listed(size: number, epoch: number): Promise<string> {
  const path = join(await temporaryFolder(), 'large.tar');
  const file = await open(path, 'w');
  await file.write(tarHeader(blob, size, epoch));
  await file.truncate(tarEntryBytes(size) + 1024);
  await file.close();
  const options = ['--numeric-owner', '--full-time', '--utc', '--warning=no-timestamp'];
  return runProgram('tar', ['-tvf', path, ...options]).toString();
}

describe('a tar header', () => {
  it('has the bytes that docs/bundle-format.md shows', () => {
    const header = tarHeader('oci-layout', 30, 0);
    const parts = [
      'oci-layout'.padEnd(100, '\0'),
      '000644 \x00000000 \x00000000 \0',
      '0000000036 \x000000000000 \0',
      '011034 \x000',
      '\0'.repeat(100),
      'ustar\x0000',
      '\0'.repeat(64),
      '000000 \x00000000 \0',
      '\0'.repeat(167),
    ];
    expect(header.toString('latin1')).toBe(parts.join(''));
  });

  it('is the same as one that is written by hand, for any size and time', () => {
    fc.assert(
      fc.property(fc.nat(0o77777777777), fc.nat(0o77777777777), (size, epoch) => {
        expect(tarHeader(blob, size, epoch).equals(ustarHeader(blob, size, epoch))).toBe(true);
      }),
    );
  });

  it('states 8 GiB and more in base 256', () => {
    const sizeField = tarHeader(blob, 8 * 1024 ** 3 + 5, 0).subarray(124, 136);
    expect(sizeField.toString('hex')).toBe('800000000000000200000005');
    expect(
      tarHeader(blob, 8 * 1024 ** 3 - 1, 0)
        .subarray(124, 136)
        .toString('latin1'),
    ).toBe('77777777777\0');
  });

  it.each([0, 512, 8 * 1024 ** 3 - 1, 8 * 1024 ** 3, 9_000_000_000, 1024 ** 4])(
    'is read by GNU tar, for a file of %d bytes',
    async (size) => {
      const line = `-rw-r--r-- 0/0 ${size} 2023-11-14 22:13:20 ${blob}
`;
      expect((await listed(size, 1_700_000_000)).replace(/ +/g, ' ')).toBe(line);
    },
  );
});

describe('a tar entry', () => {
  it('is unpacked by GNU tar as it was', async () => {
    const folder = await temporaryFolder();
    const content = Buffer.from('the content');
    const archive = Buffer.concat([tarEntry('folder/file', content, 86_400), Buffer.alloc(1024)]);
    runProgram('tar', ['-xf', '-'], { cwd: folder, input: archive });
    const unpacked = runProgram('sha256sum', [join(folder, 'folder/file')])
      .toString()
      .slice(0, 64);
    expect(unpacked).toBe(createHash('sha256').update(content).digest('hex'));
    expect(runProgram('stat', ['--format=%a %Y', join(folder, 'folder/file')]).toString()).toBe('644 86400\n');
  });

  it('fills whole blocks', () => {
    expect([0, 1, 511, 512, 513, 1024].map(tarPaddingBytes)).toEqual([0, 511, 1, 0, 511, 0]);
    expect([0, 1, 512, 513].map(tarEntryBytes)).toEqual([512, 1024, 1024, 1536]);
    expect(tarEntry('a', Buffer.alloc(513), 0)).toHaveLength(1536);
  });
});
