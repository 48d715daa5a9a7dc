import { readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';

import { beforeAll, describe, expect, it } from 'vitest';

import { framesOf } from '../support/bundle-archive.ts';
import {
  expectSame,
  finishBundle,
  ofSize,
  type PlannedBundle,
  pushMissing,
  smallBundle,
  streamOf,
  withWriter,
  writeBundle,
} from '../support/bundles.ts';
import { memoryFolder } from '../support/temporary-folder.ts';

let small: PlannedBundle;
/** What an undisturbed writer makes of it. */
let smallFile: Buffer;

beforeAll(async () => {
  small = await smallBundle();
  smallFile = await readFile(await writeBundle(await memoryFolder(), small));
});

describe('what an earlier writer left', () => {
  /** All of `small` is in place, and not committed. @returns the partial file, the journal, and where each run starts */
  async function leave(): Promise<{ out: string; partial: string; journal: string; starts: Map<string, number> }> {
    const out = await memoryFolder();
    const path = await withWriter(out, small, async (writer) => {
      await pushMissing(writer, small);
      return writer.target.path;
    });
    const frames = framesOf(smallFile);
    // Head, signatures and packed frame; then one for each blob of this bundle.
    const starts = new Map(
      [...small.stored, ...small.compressed].map(({ descriptor }, number) => [
        descriptor.digest as string,
        frames[number + 3]?.start ?? 0,
      ]),
    );
    return { out, partial: `${path}.partial`, journal: `${path}.journal`, starts };
  }

  async function afterReboot(journal: string): Promise<void> {
    const lines = (await readFile(journal, 'utf8')).replace(/"bootId":"[^"]*"/, '"bootId":"an earlier one"');
    await writeFile(journal, lines);
  }

  async function damage(path: string, position: number, bytes: Buffer): Promise<void> {
    const file = await readFile(path);
    bytes.copy(file, position);
    await writeFile(path, file);
  }

  /** The sizes of the blobs that a new writer has at once. */
  async function keptSizes(out: string): Promise<number[]> {
    return withWriter(out, small, async (writer) => {
      const kept: number[] = [];
      for (const { descriptor } of [...small.stored, ...small.compressed]) {
        if (await writer.exists(descriptor)) kept.push(descriptor.size);
      }
      return kept;
    });
  }

  const all = [1000, 140_000, 262_149, 263_144];

  it('is there at once', async () => {
    const { out } = await leave();
    expect(await keptSizes(out)).toEqual(all);
    expectSame(await finishBundle(out, small), smallFile);
  });

  it('is there after another boot as well, where it is intact', async () => {
    const { out, journal } = await leave();
    await afterReboot(journal);
    expect(await keptSizes(out)).toEqual(all);
    expect(await keptSizes(out)).toEqual(all);
    expectSame(await finishBundle(out, small), smallFile);
  });

  it.each([
    ['a byte of the content', 600],
    ['the tar header', 40],
    ['the last byte of padding', 10 + 3 + 512 + 1023],
    ['the header of the frame', 2],
    ['the header of the block', 11],
  ])('is taken after another boot without a stored blob that lost %s', async (_, offset) => {
    const { out, journal, partial, starts } = await leave();
    await afterReboot(journal);
    const start = starts.get(ofSize(small, 1000).descriptor.digest) ?? 0;
    const { [start + offset]: byte = 0 } = smallFile;
    await damage(partial, start + offset, Buffer.from([byte ^ 1]));
    expect(await keptSizes(out)).toEqual(all.slice(1));
    expectSame(await finishBundle(out, small), smallFile);
  });

  it('is taken after another boot up to a compressed blob that is damaged', async () => {
    const { out, journal, partial, starts } = await leave();
    await afterReboot(journal);
    const start = starts.get(ofSize(small, 262_149).descriptor.digest) ?? 0;
    await damage(partial, start + 100, Buffer.alloc(50));
    expect(await keptSizes(out)).toEqual([1000, 140_000]);
    expectSame(await finishBundle(out, small), smallFile);
  });

  it('is not gone on from after another boot in the middle of a blob, where damage would show at its end', async () => {
    const out = await memoryFolder();
    const { descriptor, bytes } = ofSize(small, 140_000);
    const path = await withWriter(out, small, async (writer) => {
      await expect(writer.push(descriptor, streamOf(bytes, 1000, 100_000))).rejects.toThrow('the line is cut');
      return writer.target.path;
    });
    await afterReboot(`${path}.journal`);
    await damage(`${path}.partial`, (framesOf(smallFile)[4]?.start ?? 0) + 5_000, Buffer.alloc(500));
    await withWriter(out, small, async (writer) => expect(await writer.resumeOffset(descriptor)).toBe(0));
    expectSame(await finishBundle(out, small), smallFile);
  });

  it('is worth nothing where the file is gone and the journal is not', async () => {
    const { out, partial } = await leave();
    await rm(partial);
    expect(await keptSizes(out)).toEqual([]);
    expectSame(await finishBundle(out, small), smallFile);
  });

  it('is worth nothing where the file was emptied', async () => {
    const { out, partial } = await leave();
    await truncate(partial, 0);
    expect(await keptSizes(out)).toEqual([]);
    expectSame(await finishBundle(out, small), smallFile);
  });

  it('is taken as far as a file reaches that was cut short', async () => {
    const { out, partial, starts } = await leave();
    await truncate(partial, (starts.get(ofSize(small, 262_149).descriptor.digest) ?? 0) + 10);
    expect(await keptSizes(out)).toEqual([1000, 140_000]);
    expectSame(await finishBundle(out, small), smallFile);
  });

  it('is worth nothing where the journal is gone or another one', async () => {
    const { out, journal } = await leave();
    await writeFile(journal, (await readFile(journal, 'utf8')).replace(/"bundle":"sha256:./, '"bundle":"sha256:_'));
    expect(await keptSizes(out)).toEqual([]);
    await rm(journal);
    expect(await keptSizes(out)).toEqual([]);
    expectSame(await finishBundle(out, small), smallFile);
  });

  it('is worth nothing where the blobs would be elsewhere, as after an update of zstd', async () => {
    const { out, journal } = await leave();
    await writeFile(journal, (await readFile(journal, 'utf8')).replace(/"start":\d+/, '"start":17777'));
    expect(await keptSizes(out)).toEqual([]);
    expectSame(await finishBundle(out, small), smallFile);
  });

  it('is taken without a compressed blob whose frames the journal does not have all', async () => {
    const { out, journal } = await leave();
    const lines = (await readFile(journal, 'utf8')).split('\n');
    const first = lines.findIndex((line) => line.includes('"frame"'));
    await writeFile(journal, lines.filter((_, number) => number !== first).join('\n'));
    expect(await keptSizes(out)).toEqual([1000, 140_000]);
    expectSame(await finishBundle(out, small), smallFile);
  });

  it('is longer than the bundle, and is cut', async () => {
    const { out, partial } = await leave();
    await truncate(partial, 10_000_000);
    expectSame(await finishBundle(out, small), smallFile);
  });

  it('is replaced where the bundle is there already', async () => {
    const out = await memoryFolder();
    const path = await writeBundle(out, small);
    await writeFile(path, 'damaged');
    expectSame(await finishBundle(out, small), smallFile);
    expect(await readdir(dirname(path))).toEqual([basename(path)]);
  });
});
