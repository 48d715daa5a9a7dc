import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeAll, describe, expect, it } from 'vitest';

import { BundleWriter } from '../../src/bundle/bundle-writer.ts';
import { archiveFiles, tarArchive } from '../support/bundle-archive.ts';
import {
  everyKind,
  expectSame,
  finishBundle,
  ofSize,
  type PlannedBundle,
  pushMissing,
  pushRest,
  streamOf,
  withWriter,
  writerOptions,
} from '../support/bundles.ts';
import { expectError } from '../support/expect-error.ts';
import { makeReadOnly, whyNoMount, withSmallDisk } from '../support/small-disk.ts';
import { memoryFolder } from '../support/temporary-folder.ts';

const mib = 1024 * 1024;
const where = whyNoMount ?? 'on a tmpfs';

let planned: PlannedBundle;
let expected: Buffer;

/** Another file takes the space of a disk, but for so many bytes. */
async function fill(disk: string, leaveBytes: number): Promise<string> {
  const { bavail, bsize } = await statfs(disk);
  const filler = join(disk, 'filler');
  await writeFile(filler, Buffer.alloc(bavail * bsize - leaveBytes));
  return filler;
}

beforeAll(async () => {
  planned = await everyKind();
  expected = await finishBundle(await memoryFolder(), planned);
});

describe.runIf(whyNoMount === undefined)(`a disk that is too small (${where})`, () => {
  it('is noticed before the first byte is written, and nothing is left behind', async () => {
    await withSmallDisk(4 * mib, async (disk) => {
      const error = await expectError('NO_SPACE', `more bytes in '${disk}`, () =>
        BundleWriter.open(writerOptions(disk, planned)),
      );
      expect(error.message).toContain('are free there');
      expect(error.hint).toContain('--out');
      expect(await readdir(disk)).toEqual([]);
    });
  });

  it('is large enough where an earlier run has written the rest', async () => {
    const done = planned.stored;
    const archiveBytes = tarArchive(archiveFiles(planned.document, planned.contents), 0).byteLength;
    const leaveBytes = archiveBytes + 64 * 1024 - done.reduce((sum, { descriptor }) => sum + descriptor.size, 0);
    await withSmallDisk(16 * mib, async (disk) => {
      await fill(disk, leaveBytes);
      await expectError('NO_SPACE', 'more bytes', () => BundleWriter.open(writerOptions(disk, planned)));
    });
    await withSmallDisk(16 * mib, async (disk) => {
      await withWriter(disk, planned, async (writer) => {
        for (const content of done) await pushRest(writer, content);
      });
      await fill(disk, leaveBytes);
      expectSame(await finishBundle(disk, planned), expected);
    });
  });
});

describe.runIf(whyNoMount === undefined)(`a disk that others fill while a bundle is written (${where})`, () => {
  it('ends the push, leaves nothing under the final name, and the next writer goes on', async () => {
    await withSmallDisk(12 * mib, async (disk) => {
      const large = ofSize(planned, mib + 1);
      const path = await withWriter(disk, planned, async (writer) => {
        await fill(disk, mib / 2);
        await expectError('NO_SPACE', '.partial', () => pushMissing(writer, planned));
        await expectError('NO_SPACE', 'no space left', () => writer.push(large.descriptor, streamOf(large.bytes)));
        await expectError('CONTENT_MISSING', 'the bundle lacks', () => writer.commit());
        return writer.target.path;
      });
      expect(existsSync(path)).toBe(false);
      await rm(join(disk, 'filler'));
      expectSame(await finishBundle(disk, planned), expected);
    });
  });

  it('is no harm to the same writer where space is made again', async () => {
    await withSmallDisk(12 * mib, async (disk) => {
      const file = await withWriter(disk, planned, async (writer) => {
        const filler = await fill(disk, mib / 2);
        await expectError('NO_SPACE', '.partial', () => pushMissing(writer, planned));
        await rm(filler);
        await pushMissing(writer, planned);
        return readFile((await writer.commit()).path);
      });
      expectSame(file, expected);
    });
  });

  it('is told from one that is read-only', async () => {
    await withSmallDisk(12 * mib, async (disk) => {
      makeReadOnly(disk);
      await expectError('FILE_FAILED', 'cannot make the folder', () => BundleWriter.open(writerOptions(disk, planned)));
    });
  });
});

describe('a place where a bundle cannot be written', () => {
  it('is named', async () => {
    const folder = await memoryFolder();
    await writeFile(join(folder, 'file'), '');
    await expectError('FILE_FAILED', join(folder, 'file'), () =>
      BundleWriter.open(writerOptions(join(folder, 'file'), planned)),
    );
  });

  it('is where a folder has the name of the bundle; once that is gone, the bundle is ended', async () => {
    const folder = await memoryFolder();
    await withWriter(folder, planned, async (writer) => {
      await pushMissing(writer, planned);
      const { path } = writer.target;
      await mkdir(path);
      await expectError('FILE_FAILED', 'cannot give the bundle its name', () => writer.commit());
      await rm(path, { recursive: true });
      expectSame(await readFile((await writer.commit()).path), expected);
    });
  });
});
