import { readFile, rm } from 'node:fs/promises';

import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';

import {
  everyKind,
  expectSame,
  finishBundle,
  ofSize,
  type PlannedBundle,
  pushRest,
  smallBundle,
  streamOf,
  withWriter,
  writeBundle,
} from '../support/bundles.ts';
import { expectError } from '../support/expect-error.ts';
import type { Content } from '../support/graphs.ts';
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

describe('an interrupted push', () => {
  it('of a stored blob goes on at the byte at which it broke off', async () => {
    const out = await memoryFolder();
    const content = ofSize(every, 1024 * 1024 + 1);
    const [block, size] = [128 * 1024, content.descriptor.size];
    for (const failAt of [1, 511, 512, block - 513, block - 512, block - 511, 2 * block, 1_000_000, size - 1, size]) {
      await withWriter(out, every, async (writer) => {
        const offset = await writer.resumeOffset(content.descriptor);
        const rest = content.bytes.subarray(offset);
        const push = writer.push(content.descriptor, streamOf(rest, 1000, failAt - offset), { offset });
        await expect(push).rejects.toThrow('the line is cut');
        expect(await writer.resumeOffset(content.descriptor)).toBe(failAt);
      });
    }
    expectSame(await finishBundle(out, every), everyFile);
  });

  it('of a compressed blob goes on at the frame in which it broke off', async () => {
    const out = await memoryFolder();
    const frame = 1024 * 1024;
    const content = ofSize(every, 2 * frame + 12345);
    const isBefore = ({ descriptor }: Content): boolean =>
      descriptor.size < content.descriptor.size && descriptor.size !== frame + 100_000;
    await withWriter(out, every, async (writer) => {
      for (const before of every.compressed.filter(isBefore)) await pushRest(writer, before);
    });
    for (const [failAt, offset] of [
      [1, 0],
      [frame - 513, 0],
      [frame - 512, frame - 512],
      [frame + 5, frame - 512],
      [2 * frame, 2 * frame - 512],
      [content.descriptor.size, 2 * frame - 512],
    ] as const) {
      await withWriter(out, every, async (writer) => {
        const from = await writer.resumeOffset(content.descriptor);
        const rest = content.bytes.subarray(from);
        const push = writer.push(content.descriptor, streamOf(rest, 7000, failAt - from), { offset: from });
        await expect(push).rejects.toThrow('the line is cut');
        expect(await writer.resumeOffset(content.descriptor)).toBe(offset);
      });
    }
    expectSame(await finishBundle(out, every), everyFile);
  });

  it('leaves no trace in the bytes, wherever and however often it happens', async () => {
    const pushed = [...every.stored, ...every.compressed];
    const anyBreak = fc.record({ at: fc.nat(pushed.length - 1), part: fc.double({ min: 0, max: 1, noNaN: true }) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyBreak, { maxLength: 5 }),
        fc.integer({ min: 500, max: 300_000 }),
        async (breaks, chunkBytes) => {
          const out = await memoryFolder();
          for (const { at, part } of breaks) {
            await withWriter(out, every, async (writer) => {
              for (const [number, content] of pushed.entries()) {
                if (number < at) await pushRest(writer, content, chunkBytes);
                if (number !== at || (await writer.exists(content.descriptor))) continue;
                const offset = await writer.resumeOffset(content.descriptor);
                const rest = content.bytes.subarray(offset);
                const push = writer.push(
                  content.descriptor,
                  streamOf(rest, chunkBytes, Math.floor(rest.byteLength * part)),
                  { offset },
                );
                await expect(push).rejects.toThrow('the line is cut');
              }
            });
          }
          expectSame(await finishBundle(out, every), everyFile);
          await rm(out, { recursive: true });
        },
      ),
      { numRuns: 6 },
    );
  });

  it('can also begin anew, in this writer or in the next one', async () => {
    const out = await memoryFolder();
    await withWriter(out, small, async (writer) => {
      for (const { descriptor, bytes } of small.stored) {
        await expect(writer.push(descriptor, streamOf(bytes, 100, 900))).rejects.toThrow('the line is cut');
        expect(await writer.resumeOffset(descriptor)).toBe(900);
        await expect(writer.push(descriptor, streamOf(bytes, 100, 300))).rejects.toThrow('the line is cut');
        expect(await writer.resumeOffset(descriptor)).toBe(300);
      }
    });
    const file = await withWriter(out, small, async (writer) => {
      for (const { descriptor, bytes } of [...small.stored, ...small.compressed]) {
        await writer.push(descriptor, streamOf(bytes));
      }
      return readFile((await writer.commit()).path);
    });
    expectSame(file, smallFile);
  });

  it('cannot go on where the writer did not say so', async () => {
    await withWriter(await memoryFolder(), small, async (writer) => {
      const { descriptor, bytes } = ofSize(small, 140_000);
      const goOn = (offset: number): Promise<void> =>
        writer.push(descriptor, streamOf(bytes.subarray(offset)), { offset });
      await expectError('FAILED', 'cannot go on at byte 500', () => goOn(500));
      await expect(writer.push(descriptor, streamOf(bytes, 100, 500))).rejects.toThrow('the line is cut');
      await expectError('FAILED', 'cannot go on at byte 500', () => goOn(500));
      expect(await writer.resumeOffset(descriptor)).toBe(500);
      await expectError('FAILED', 'cannot go on at byte 501', () => goOn(501));
      await goOn(500);
      expect(await writer.exists(descriptor)).toBe(true);
    });
  });

  it('that goes on with content that lies is discarded as a whole', async () => {
    const out = await memoryFolder();
    const { descriptor, bytes } = ofSize(small, 140_000);
    await withWriter(out, small, async (writer) => {
      await expect(writer.push(descriptor, streamOf(bytes, 100, 70_000))).rejects.toThrow('the line is cut');
      const offset = await writer.resumeOffset(descriptor);
      await expectError('DIGEST_MISMATCH', descriptor.digest, () =>
        writer.push(descriptor, streamOf(Buffer.alloc(140_000 - offset)), { offset }),
      );
      expect(await writer.resumeOffset(descriptor)).toBe(0);
    });
    expectSame(await finishBundle(out, small), smallFile);
  });
});
