import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { writeFileAtomic } from '../../src/files/atomic-file.ts';
import { makeReadOnly, whyNoMount, withSmallDisk } from '../support/small-disk.ts';
import { expectCode } from '../support/store-contract.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

describe('writeFileAtomic', () => {
  it('writes a file, makes missing folders and leaves nothing else', async () => {
    const folder = join(await temporaryFolder(), 'a', 'b');
    await writeFileAtomic(join(folder, 'file'), 'first');
    await writeFileAtomic(join(folder, 'file'), Buffer.from('second'));
    expect(await readFile(join(folder, 'file'), 'utf8')).toBe('second');
    expect(await readdir(folder)).toEqual(['file']);
  });

  it('shows a whole file at any moment while it is written again and again', async () => {
    const path = join(await temporaryFolder(), 'file');
    const versions = ['a', 'b'].map((letter) => letter.repeat(100_000));
    await writeFileAtomic(path, versions[0] ?? '');
    const seen = new Set<string>();
    const writing = (async () => {
      for (let round = 0; round < 20 || seen.size < 2; round += 1) {
        await writeFileAtomic(path, versions[round % 2] ?? '');
      }
      return 'written' as const;
    })();
    while ((await Promise.race([writing, sleep(1, 'writing' as const)])) === 'writing') {
      seen.add(await readFile(path, 'utf8'));
    }
    expect([...seen].every((text) => versions.includes(text))).toBe(true);
    expect(seen.size).toBe(2);
  });

  it('says FILE_FAILED where a folder is in the way, and leaves nothing behind', async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, 'taken', 'inside'), { recursive: true });
    await expectCode('FILE_FAILED', () => writeFileAtomic(join(folder, 'taken'), 'text'));
    expect(await readdir(folder)).toEqual(['taken']);
  });

  it('says FILE_FAILED where a file is in the place of a folder', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'file'), '');
    await expectCode('FILE_FAILED', () => writeFileAtomic(join(folder, 'file', 'below', 'x'), 'text'));
  });

  it.runIf(whyNoMount === undefined)(
    `keeps the old file where the disk is full or read-only (${whyNoMount ?? 'on a tmpfs'})`,
    async () => {
      await withSmallDisk(100_000, async (folder) => {
        const path = join(folder, 'file');
        await writeFileAtomic(path, 'old');
        await expectCode('NO_SPACE', () => writeFileAtomic(path, Buffer.alloc(200_000)));
        expect(await readFile(path, 'utf8')).toBe('old');
        expect(await readdir(folder)).toEqual(['file']);
        makeReadOnly(folder);
        await expectCode('FILE_FAILED', () => writeFileAtomic(path, 'new'));
        await expect(writeFileAtomic(path, 'new')).rejects.toMatchObject({
          hint: expect.stringContaining('read-only') as string,
        });
      });
    },
  );
});
