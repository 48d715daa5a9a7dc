import { appendFile, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { LoadJournal, type LoadSubject } from '../../src/loader/load-journal.ts';
import { sha256 } from '../support/graphs.ts';
import { makeReadOnly, whyNoMount, withSmallDisk } from '../support/small-disk.ts';

const subject: LoadSubject = {
  bundle: sha256('bundle'),
  registry: '10.0.0.5:30003',
  project: 'spectro-images',
  packsProject: 'spectro-packs',
};
const repository = 'spectro-images/quay.io/a/app';
const [one, two] = [sha256('one'), sha256('two')];
const location = 'https://10.0.0.5:30003/v2/spectro-images/quay.io/a/app/blobs/uploads/1?_state=x';

let folder: string;
let lost: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edge-bundle-journal-'));
  lost = [];
});

afterEach(() => rm(folder, { recursive: true, force: true }));

function open(where = folder, about = subject): Promise<LoadJournal> {
  return LoadJournal.open(where, about, { onLost: (reason) => lost.push(reason) });
}

async function path(): Promise<string> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.journal'));
  expect(names).toHaveLength(1);
  return join(folder, names[0] ?? '');
}

/** As a process leaves it that was killed: not closed, and its lock held by nobody who lives. */
async function abandoned(fill: (journal: LoadJournal) => Promise<void>): Promise<void> {
  const journal = await open();
  await fill(journal);
  await journal.close();
}

describe('a journal of a load', () => {
  it('remembers complete images and uploads that have not ended', async () => {
    await abandoned(async (journal) => {
      await journal.completed(repository, one);
      await journal.uploadBegan({ repository, blob: one, location });
      await journal.uploadBegan({ repository, blob: two, location });
      await journal.uploadEnded(repository, two);
    });
    const journal = await open();
    expect([journal.isComplete(repository, one), journal.isComplete(repository, two)]).toEqual([true, false]);
    expect(journal.isComplete('spectro-images/quay.io/a/other', one)).toBe(false);
    expect(journal.openUploads).toEqual([{ repository, blob: one, location }]);
    await journal.close();
    expect(lost).toEqual([]);
  });

  it('has every record on the disk when the call returns', async () => {
    const journal = await open();
    await journal.completed(repository, one);
    expect(await readFile(await path(), 'utf8')).toContain(`"image":"${one}"`);
    await journal.close();
  });

  it('says nothing of another bundle, registry or project', async () => {
    await abandoned((journal) => journal.completed(repository, one));
    for (const other of [
      { bundle: sha256('other') },
      { registry: '10.0.0.6:30003' },
      { project: 'p' },
      { packsProject: 'p' },
    ]) {
      const journal = await open(folder, { ...subject, ...other });
      expect(journal.isComplete(repository, one)).toBe(false);
      await journal.close();
    }
  });

  it.each([0, 1, 5, 20, 40])('survives a last line that lost %i bytes in a power cut', async (bytes) => {
    await abandoned(async (journal) => {
      await journal.completed(repository, one);
      await journal.completed(repository, two);
    });
    const { length } = await readFile(await path());
    await truncate(await path(), length - bytes);
    const journal = await open();
    expect(journal.isComplete(repository, one)).toBe(true);
    expect(journal.isComplete(repository, two)).toBe(bytes <= 1);
    await journal.completed(repository, two);
    await journal.close();
    const again = await open();
    expect(again.isComplete(repository, two)).toBe(true);
    await again.close();
  });

  it.each([
    ['nothing', ''],
    ['zeros', '\0'.repeat(4_096)],
    ['something else', '{"hello":'],
    ['another version', '{"journal":2}\n'],
  ])('begins anew where the file has %s in it', async (_name, content) => {
    await abandoned((journal) => journal.completed(repository, one));
    await writeFile(await path(), content);
    const journal = await open();
    expect(journal.isComplete(repository, one)).toBe(false);
    await journal.completed(repository, two);
    await journal.close();
    const again = await open();
    expect(again.isComplete(repository, two)).toBe(true);
    await again.close();
    expect(lost).toEqual([]);
  });

  it('passes over a line in the middle that is damaged', async () => {
    await abandoned((journal) => journal.completed(repository, one));
    await appendFile(await path(), '\0\0\0{"image":"sha256:zz"}\n');
    await abandoned((journal) => journal.completed(repository, two));
    const journal = await open();
    expect([journal.isComplete(repository, one), journal.isComplete(repository, two)]).toEqual([true, true]);
    await journal.close();
  });

  it('does not grow with what is void', async () => {
    for (let run = 0; run < 20; run += 1) {
      await abandoned(async (journal) => {
        await journal.completed(repository, one);
        await journal.uploadBegan({ repository, blob: two, location });
        await journal.uploadEnded(repository, two);
      });
    }
    const text = await readFile(await path(), 'utf8');
    expect(text.split('\n').filter((line) => line !== '').length).toBeLessThan(8);
  });

  it('belongs to one load at a time: another goes on without, and may have it afterwards', async () => {
    const first = await open();
    const second = await open();
    expect(lost).toEqual([expect.stringContaining('another load has the journal')]);
    await second.completed(repository, one);
    await second.close();
    await first.completed(repository, two);
    await first.close();
    const third = await open();
    expect([third.isComplete(repository, one), third.isComplete(repository, two)]).toEqual([false, true]);
    await third.close();
  });

  it('is done without where its folder cannot be', async () => {
    await writeFile(join(folder, 'file'), '');
    const journal = await open(join(folder, 'file', 'below'));
    await journal.completed(repository, one);
    expect(journal.isComplete(repository, one)).toBe(true);
    await journal.close();
    expect(lost).toEqual([expect.stringContaining('file')]);
  });

  it.skipIf(whyNoMount !== undefined)('is done without on a disk that is full or read-only', async () => {
    await withSmallDisk(64 * 1024, async (disk) => {
      const journal = await open(disk);
      await journal.completed(repository, one);
      await writeFile(join(disk, 'fill'), Buffer.alloc(60 * 1024)).catch(() => undefined);
      await writeFile(join(disk, 'fill-2'), Buffer.alloc(60 * 1024)).catch(() => undefined);
      for (let number = 0; number < 50; number += 1) {
        await journal.uploadBegan({ repository, blob: two, location: `${location}${number}${'x'.repeat(200)}` });
      }
      await journal.close();
      expect(lost).toEqual([expect.stringContaining('no space left')]);
      const onFull = await open(disk);
      await onFull.completed(repository, two);
      await onFull.close();
      expect(lost).toHaveLength(2);
      makeReadOnly(disk);
      const onReadOnly = await open(disk);
      await onReadOnly.completed(repository, two);
      await onReadOnly.close();
      expect(lost).toHaveLength(3);
    });
  });
});
