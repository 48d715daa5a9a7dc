import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';

import { beforeAll, describe, expect, it } from 'vitest';

import {
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
import { noise } from '../support/graphs.ts';
import { memoryFolder } from '../support/temporary-folder.ts';

let small: PlannedBundle;
/** What an undisturbed writer makes of it. */
let smallFile: Buffer;

beforeAll(async () => {
  small = await smallBundle();
  smallFile = await readFile(await writeBundle(await memoryFolder(), small));
});

/** `bytes` with another byte at `at`. */
function withOther(bytes: Buffer, at: number): Buffer {
  const other = Buffer.from(bytes);
  other.writeUInt8(other.readUInt8(at) ^ 1, at);
  return other;
}

describe('content that is pushed', () => {
  const lies = [
    ['another byte at the end', (bytes: Buffer) => withOther(bytes, bytes.byteLength - 1), 'DIGEST_MISMATCH'],
    ['another byte at the start', (bytes: Buffer) => withOther(bytes, 0), 'DIGEST_MISMATCH'],
    ['a byte less', (bytes: Buffer) => bytes.subarray(0, -1), 'SIZE_MISMATCH'],
    ['nothing', () => Buffer.alloc(0), 'SIZE_MISMATCH'],
    ['a byte more', (bytes: Buffer) => Buffer.concat([bytes, Buffer.from('x')]), 'SIZE_MISMATCH'],
    ['much more', (bytes: Buffer) => Buffer.concat([bytes, noise(2_000_000, 'more')]), 'SIZE_MISMATCH'],
  ] as const;

  it.each(lies)('is never shown where it lies, with %s', async (_, lie, code) => {
    const out = await memoryFolder();
    const file = await withWriter(out, small, async (writer) => {
      for (const content of [...small.stored, ...small.compressed]) {
        const wrong = streamOf(lie(content.bytes));
        await expectError(code, content.descriptor.digest, () => writer.push(content.descriptor, wrong));
        expect(wrong.destroyed).toBe(true);
        expect(await writer.exists(content.descriptor)).toBe(false);
        expect(await writer.resumeOffset(content.descriptor)).toBe(0);
        await expectError('NOT_FOUND', 'not in the bundle yet', () => writer.fetch(content.descriptor));
        await pushRest(writer, content);
      }
      return readFile((await writer.commit()).path);
    });
    expectSame(file, smallFile);
  });

  it('that lied is nothing to go on from in the next writer', async () => {
    const out = await memoryFolder();
    const content = ofSize(small, 140_000);
    await withWriter(out, small, async (writer) => {
      const wrong = streamOf(withOther(content.bytes, 139_999));
      await expectError('DIGEST_MISMATCH', 'has the digest', () => writer.push(content.descriptor, wrong));
    });
    await withWriter(out, small, async (writer) => {
      expect(await writer.exists(content.descriptor)).toBe(false);
      expect(await writer.resumeOffset(content.descriptor)).toBe(0);
    });
    expectSame(await finishBundle(out, small), smallFile);
  });

  it('is taken once where it comes several times at once, and a liar among them changes nothing', async () => {
    const file = await withWriter(await memoryFolder(), small, async (writer) => {
      for (const { descriptor, bytes } of [...small.stored, ...small.compressed]) {
        const slowLie = async function* (): AsyncGenerator<Buffer> {
          for (let at = 0; at < bytes.byteLength; at += 50_000) {
            await new Promise((resolve) => setTimeout(resolve, 1));
            yield Buffer.alloc(Math.min(50_000, bytes.byteLength - at), 'lie');
          }
        };
        const pushes = [
          writer.push(descriptor, Readable.from(slowLie(), { objectMode: false })),
          writer.push(descriptor, streamOf(bytes)),
          writer.push(descriptor, streamOf(bytes, 1000)),
        ];
        const [lied, ...others] = await Promise.allSettled(pushes);
        expect(lied).toMatchObject({ status: 'rejected', reason: { code: 'DIGEST_MISMATCH' } });
        expect(others.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
      }
      return readFile((await writer.commit()).path);
    });
    expectSame(file, smallFile);
  });

  it('again is not read, and its stream is destroyed', async () => {
    await withWriter(await memoryFolder(), small, async (writer) => {
      const content = ofSize(small, 1000);
      await pushRest(writer, content);
      const again = new Readable({ read: () => expect.unreachable('it was read') });
      await writer.push(content.descriptor, again);
      expect(again.destroyed).toBe(true);
    });
  });

  it('that breaks off is told from content that is wrong', async () => {
    await withWriter(await memoryFolder(), small, async (writer) => {
      const { descriptor, bytes } = ofSize(small, 140_000);
      const destroyed = new Readable({ read: () => undefined });
      destroyed.push(bytes.subarray(0, 100));
      setTimeout(() => destroyed.destroy(), 10);
      await expectError('TRANSFER_INCOMPLETE', 'broke off', () => writer.push(descriptor, destroyed));
      await expect(writer.push(descriptor, streamOf(bytes, 100, 1000))).rejects.toThrow('the line is cut');
      const hanging = new Readable({ read: () => undefined });
      const controller = new AbortController();
      setTimeout(() => controller.abort(), 10);
      await expectError('ABORTED', 'interrupted', () =>
        writer.push(descriptor, hanging, { signal: controller.signal }),
      );
      expect(hanging.destroyed).toBe(true);
      const failed = streamOf(bytes);
      failed.destroy(new Error('failed before it was read'));
      await expect(writer.push(descriptor, failed)).rejects.toThrow('failed before it was read');
    });
  });
});
