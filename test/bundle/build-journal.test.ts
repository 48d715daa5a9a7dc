import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { BuildJournal } from '../../src/bundle/build-journal.ts';
import { bootId } from '../../src/files/boot-id.ts';
import { expectError } from '../support/expect-error.ts';
import { sha256 } from '../support/graphs.ts';
import { memoryFolder } from '../support/temporary-folder.ts';

const subject = { bundle: sha256('bundle'), start: 17_000 };
const [one, two, three] = [sha256('one'), sha256('two'), sha256('three')];

async function newPath(): Promise<string> {
  return join(await memoryFolder(), 'bundle.journal');
}

/** A journal in which `one` is done, `two` has a half and `three` two frames. */
async function writeJournal(path: string): Promise<void> {
  const journal = await BuildJournal.open(path, subject);
  await journal.record({ blob: one, bytes: 100 });
  await journal.record({ blob: two, bytes: 30 });
  await journal.record({ blob: three, frame: 9 });
  await journal.record({ blob: one, done: true });
  await journal.record({ blob: three, frame: 8 });
  await journal.record({ blob: two, bytes: 50 });
  await journal.close();
}

async function progressIn(path: string, about = subject): Promise<readonly unknown[]> {
  const journal = await BuildJournal.open(path, about);
  const progress = [one, two, three].map((blob) => journal.progressOf(blob));
  await journal.close();
  return progress;
}

const written = [
  { done: true, bytes: 100, frames: [] },
  { done: false, bytes: 50, frames: [] },
  { done: false, bytes: 0, frames: [9, 8] },
];
const nothing = [undefined, undefined, undefined];

describe('the journal of a build', () => {
  it('tells the next writer what is in place', async () => {
    const path = await newPath();
    await writeJournal(path);
    expect(await progressIn(path)).toEqual(written);
  });

  it('forgets what was discarded', async () => {
    const path = await newPath();
    await writeJournal(path);
    const journal = await BuildJournal.open(path, subject);
    await journal.record({ blob: three, discarded: true });
    expect(journal.progressOf(three)).toBeUndefined();
    await journal.record({ blob: three, frame: 7 });
    await journal.close();
    expect((await progressIn(path))[2]).toEqual({ done: false, bytes: 0, frames: [7] });
  });

  it.each([
    ['another bundle', { ...subject, bundle: sha256('other') }],
    ['the same bundle with its blobs elsewhere in the file', { ...subject, start: 17_001 }],
  ])('begins anew for %s', async (_, other) => {
    const path = await newPath();
    await writeJournal(path);
    expect(await progressIn(path, other)).toEqual(nothing);
    expect(await progressIn(path)).toEqual(nothing);
  });

  it('is relied on in the boot in which it was begun, and in no other', async () => {
    const path = await newPath();
    const begun = await BuildJournal.open(path, subject);
    expect(begun.isTrustworthy).toBe(true);
    await begun.close();
    const continued = await BuildJournal.open(path, subject);
    expect(continued.isTrustworthy).toBe(true);
    await continued.close();
    const text = await readFile(path, 'utf8');
    expect(text).toContain(bootId());
    for (const other of [text.replace(bootId() ?? '', 'another boot'), text.replace(/,"bootId":"[^"]*"/, '')]) {
      expect(other).not.toBe(text);
      await writeFile(path, other);
      const later = await BuildJournal.open(path, subject);
      expect(later.isTrustworthy).toBe(false);
      await later.close();
    }
  });

  it('is renewed with what was found in place, and relied on from then on', async () => {
    const path = await newPath();
    await writeJournal(path);
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace(bootId() ?? '', 'another boot'));
    const journal = await BuildJournal.open(path, subject);
    await journal.renew([one, sha256('from the metadata')]);
    expect(journal.isTrustworthy).toBe(true);
    expect([one, two, three].map((blob) => journal.progressOf(blob)?.done)).toEqual([true, undefined, undefined]);
    await journal.record({ blob: three, frame: 5 });
    await journal.close();
    const next = await BuildJournal.open(path, subject);
    expect(next.isTrustworthy).toBe(true);
    expect(next.progressOf(one)?.done).toBe(true);
    expect(next.progressOf(two)).toBeUndefined();
    expect(next.progressOf(three)).toEqual({ done: false, bytes: 0, frames: [5] });
    await next.close();
  });

  it('keeps the frames of a compressed blob when it is renewed', async () => {
    const path = await newPath();
    await writeJournal(path);
    const journal = await BuildJournal.open(path, subject);
    await journal.record({ blob: three, done: true });
    await journal.renew([three]);
    await journal.close();
    expect(await progressIn(path)).toEqual([undefined, undefined, { done: true, bytes: 0, frames: [9, 8] }]);
  });

  it.each([
    ['a line that was cut short', `{"blob":"${two}","by`],
    ['zeros, as a power cut leaves them', '\0'.repeat(4096)],
    ['a line that is something else', '{"blob":5}\n[]\nnull\n\n"x"\n'],
    ['a frame that no bundle has', `{"blob":"${two}","frame":999999999999}\n`],
    ['a negative offset', `{"blob":"${two}","bytes":-1}\n`],
  ])('passes over %s, and loses nothing that comes after it', async (_, garbage) => {
    const path = await newPath();
    await writeJournal(path);
    await appendFile(path, garbage);
    const journal = await BuildJournal.open(path, subject);
    expect([one, two, three].map((blob) => journal.progressOf(blob))).toEqual(written);
    await journal.record({ blob: two, bytes: 60 });
    // A full disk takes a part of a line from a writer that goes on.
    await appendFile(path, garbage.slice(0, 20));
    await journal.record({ blob: two, done: true });
    await journal.close();
    expect((await progressIn(path))[1]).toEqual({ done: true, bytes: 60, frames: [] });
  });

  it.each([
    ['nothing', ''],
    ['half of a first line', '{"bundle":"sha256:'],
    ['another file', 'hello\nworld\n'],
  ])('begins anew where there is %s', async (_, text) => {
    const path = await newPath();
    await writeFile(path, text);
    expect(await progressIn(path)).toEqual(nothing);
    await writeJournal(path);
    expect(await progressIn(path)).toEqual(written);
  });

  it('says where it cannot be written', async () => {
    const folder = await memoryFolder();
    await mkdir(join(folder, 'journal'));
    await expectError('FILE_FAILED', 'cannot read the journal', () =>
      BuildJournal.open(join(folder, 'journal'), subject),
    );
    await expectError('FILE_FAILED', 'cannot write the journal', () =>
      BuildJournal.open(join(folder, 'no', 'j'), subject),
    );
  });
});
