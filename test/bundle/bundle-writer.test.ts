import { readdirSync } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';

import { BundleWriter } from '../../src/bundle/bundle-writer.ts';
import { EdgeBundleError } from '../../src/errors.ts';
import { archiveFiles, expectedFrames, framesOf, rawFrame, seekTable, tarArchive } from '../support/bundle-archive.ts';
import {
  everyKind,
  expectSame,
  finishBundle,
  ofSize,
  type PlannedBundle,
  planBundle,
  pushMissing,
  pushRest,
  smallBundle,
  streamOf,
  withWriter,
  writeBundle,
  writerOptions,
} from '../support/bundles.ts';
import { expectError } from '../support/expect-error.ts';
import { blob, image, sha256 } from '../support/graphs.ts';
import { runProgram } from '../support/run-program.ts';
import { describeReadableStoreContract } from '../support/store-contract.ts';
import { memoryFolder } from '../support/temporary-folder.ts';

let every: PlannedBundle;
let small: PlannedBundle;
/** What an undisturbed writer makes of them. */
let everyFile: Buffer;
let smallFile: Buffer;

beforeAll(async () => {
  every = await everyKind({ sourceDateEpoch: 1_700_000_000 });
  small = await smallBundle();
  everyFile = await readFile(await writeBundle(await memoryFolder(), every));
  smallFile = await readFile(await writeBundle(await memoryFolder(), small));
});

/** The paths of all files in `out`. */
async function filesIn(out: string): Promise<string[]> {
  const found = await readdir(out, { recursive: true, withFileTypes: true });
  return found.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
}

/** In an order that `seed` tells. */
function shuffled<T>(values: readonly T[], seed: number): T[] {
  return values
    .map((value, at) => ({ value, rank: sha256(`${seed} ${at}`) }))
    .sort((a, b) => (a.rank < b.rank ? -1 : 1))
    .map(({ value }) => value);
}

describe('a bundle that is written', () => {
  it('holds the archive that docs/bundle-format.md describes', () => {
    const archive = tarArchive(archiveFiles(every.document, every.contents), 1_700_000_000);
    expectSame(runProgram('zstd', ['-dc'], { input: everyFile }), archive);
  });

  it('is cut into the frames that docs/bundle-format.md describes', () => {
    const expected = expectedFrames(every.document, archiveFiles(every.document, every.contents));
    const frames = framesOf(everyFile);
    expect(frames.map(({ content }) => content)).toEqual(expected.map(({ content }) => content.byteLength));
    for (const [number, { kind, content }] of expected.entries()) {
      const { start, compressed } = frames[number] ?? { start: 0, compressed: 0 };
      const frame = everyFile.subarray(start, start + compressed);
      if (kind === 'stored') expectSame(frame, rawFrame(content));
      else expect(frame.readUInt32LE(0)).toBe(0xfd2fb528);
    }
    const table = seekTable(frames.map(({ compressed, content }) => [compressed, content]));
    const end = frames.reduce((sum, { compressed }) => sum + compressed, 0);
    expectSame(everyFile.subarray(end), table);
  });

  it('has its id in the names of folder and file, and nothing beside it', async () => {
    const out = await memoryFolder();
    const path = await writeBundle(out, small);
    const id = sha256(JSON.stringify(small.document)).slice('sha256:'.length, 'sha256:'.length + 16);
    expect(path).toBe(join(out, `content-${id}`, `core-sample-${id}.tar.zst`));
    expect(await filesIn(out)).toEqual([path]);
  });

  it('has the same bytes in whatever order and chunks its blobs come, several at once', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.integer({ min: 300, max: 2_000_000 }), async (seed, chunkBytes) => {
        const out = await memoryFolder();
        const file = await withWriter(out, every, async (writer) => {
          const inOrder = async (): Promise<void> => {
            for (const content of every.compressed) await pushRest(writer, content, chunkBytes);
          };
          const stored = shuffled(every.stored, seed).map((content) => pushRest(writer, content, chunkBytes));
          await Promise.all([inOrder(), ...stored]);
          return readFile((await writer.commit()).path);
        });
        expectSame(file, everyFile);
        await rm(out, { recursive: true });
      }),
      { numRuns: 5 },
    );
  });

  it('has the same bytes where everything is in the metadata, and where there are no blobs', async () => {
    const onlyHead = await planBundle({ 'registry.example.com/a:1': image([]) });
    const nothing = await planBundle({});
    for (const planned of [onlyHead, nothing]) {
      const file = await finishBundle(await memoryFolder(), planned);
      expectSame(
        runProgram('zstd', ['-dc'], { input: file }),
        tarArchive(archiveFiles(planned.document, planned.contents), 0),
      );
    }
  });
});

describe('a writer', () => {
  it('has what was pushed, and the metadata from the start', async () => {
    await withWriter(await memoryFolder(), small, async (writer) => {
      const has = (): Promise<boolean[]> =>
        Promise.all(small.contents.map(({ descriptor }) => writer.exists(descriptor)));
      expect(await has()).toEqual([true, true, false, false, false, false]);
      await pushMissing(writer, small);
      expect(await has()).toEqual([true, true, true, true, true, true]);
    });
  });

  it('gives nothing that is not there yet', async () => {
    await withWriter(await memoryFolder(), small, async (writer) => {
      const content = ofSize(small, 1000);
      await expectError('NOT_FOUND', content.descriptor.digest, () => writer.fetch(content.descriptor));
      await pushRest(writer, content);
      await expectError('NOT_FOUND', '1001 bytes', () => writer.fetch({ ...content.descriptor, size: 1001 }));
      await expectError('FAILED', 'not within', () =>
        writer.fetch(content.descriptor, { range: { start: 0, end: 1001 } }),
      );
    });
  });

  it('does not end a bundle that lacks something', async () => {
    const out = await memoryFolder();
    await withWriter(out, small, async (writer) => {
      await expectError('CONTENT_MISSING', 'lacks 4 blobs', () => writer.commit());
      for (const content of small.stored) await pushRest(writer, content);
      await expectError('CONTENT_MISSING', small.compressed[0]?.descriptor.digest ?? '', () => writer.commit());
      expect((await filesIn(out)).filter((path) => path.endsWith('.tar.zst'))).toEqual([]);
      await pushMissing(writer, small);
      expectSame(await readFile((await writer.commit()).path), smallFile);
    });
  });

  it('takes compressed blobs in their order only', async () => {
    await withWriter(await memoryFolder(), every, async (writer) => {
      const [first, second] = every.compressed;
      if (first === undefined || second === undefined) throw new Error('there are too few');
      const early = streamOf(second.bytes);
      await expectError('FAILED', 'before the compressed blobs that come before it', () =>
        writer.push(second.descriptor, early),
      );
      expect(early.destroyed).toBe(true);
      expect(await writer.resumeOffset(second.descriptor)).toBe(0);
      await pushRest(writer, first);
      await pushRest(writer, second);
    });
  });

  it('takes nothing that is not in its document, and nothing of another size', async () => {
    await withWriter(await memoryFolder(), small, async (writer) => {
      const unknown = blob('unknown');
      await expectError('FAILED', 'not in the plan', () => writer.push(unknown.descriptor, streamOf(unknown.bytes)));
      for (const content of [ofSize(small, 1000), ofSize(small, 140_000), small.contents[0]]) {
        if (content === undefined) throw new Error('there is no content');
        const longer = { ...content.descriptor, size: content.descriptor.size + 600 };
        await expectError('SIZE_MISMATCH', `not ${longer.size}`, () =>
          writer.push(longer, streamOf(Buffer.concat([content.bytes, Buffer.alloc(600)]))),
        );
      }
      await pushMissing(writer, small);
      expectSame(await readFile((await writer.commit()).path), smallFile);
    });
  });

  it('is refused a plan in which places cannot be known', async () => {
    const { document } = small;
    const reversed = { ...small, document: { ...document, blobs: [...document.blobs].reverse() } };
    await expectError('FAILED', 'stored blobs have to come before', async () =>
      BundleWriter.open(writerOptions(await memoryFolder(), reversed)),
    );
    const blobs = document.blobs.map((each, number) => (number === 2 ? { ...each, size: 2 ** 52 } : each));
    const huge = { ...small, document: { ...document, blobs } };
    const out = await memoryFolder();
    await expectError('UNSUPPORTED', 'frames', () => BundleWriter.open(writerOptions(out, huge)));
    expect(await readdir(out)).toEqual([]);
  });

  it('opens no file that it does not close, whatever fails', async () => {
    const before = readdirSync('/proc/self/fd').length;
    const out = await memoryFolder();
    const { target } = await withWriter(out, small, (writer) => Promise.resolve(writer));
    const failing = { exists: () => Promise.resolve(true), fetch: () => Promise.reject(new Error('no metadata')) };
    await expect(BundleWriter.open({ out, document: small.document, metadata: failing })).rejects.toThrow(
      'no metadata',
    );
    await expectError('ABORTED', 'interrupted', () =>
      BundleWriter.open({ ...writerOptions(out, small), signal: AbortSignal.abort() }),
    );
    await rm(`${target.path}.journal`);
    await mkdir(`${target.path}.journal`);
    await expectError('FILE_FAILED', 'journal', () => BundleWriter.open(writerOptions(out, small)));
    await rm(`${target.path}.partial`);
    await mkdir(`${target.path}.partial`);
    await expectError('FILE_FAILED', '.partial', () => BundleWriter.open(writerOptions(out, small)));
    expect((await filesIn(out)).filter((path) => path.endsWith('.lock'))).toEqual([]);
    expect(readdirSync('/proc/self/fd')).toHaveLength(before);
  });
});

/** Names are not the writer's: they are in the document. */
describeReadableStoreContract('a bundle writer', async ({ reference, root }) => {
  const planned = await planBundle({ [reference]: root });
  const writer = await BundleWriter.open(writerOptions(await memoryFolder(), planned));
  await pushMissing(writer, planned);
  const { descriptor } = root;
  const resolve = (name: string): Promise<typeof descriptor> =>
    name === reference || name === descriptor.digest
      ? Promise.resolve(descriptor)
      : Promise.reject(new EdgeBundleError('NOT_FOUND', name));
  const store = { exists: writer.exists.bind(writer), fetch: writer.fetch.bind(writer), resolve };
  return { store, close: () => writer.close() };
});
