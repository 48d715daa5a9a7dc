import { existsSync } from 'node:fs';

import { afterEach, describe, expect, it } from 'vitest';

import { BundleWriter } from '../../src/bundle/bundle-writer.ts';
import { everyKind, expectSame, finishBundle, withWriter, writerOptions } from '../support/bundles.ts';
import { expectError } from '../support/expect-error.ts';
import { memoryFolder } from '../support/temporary-folder.ts';
import { WorkerProcess } from '../support/worker-process.ts';

let worker: WorkerProcess | undefined;

/** A process that has read about so many bytes of the bundle's content, and waits. */
async function startWorker(out: string, bytes: number): Promise<WorkerProcess> {
  worker = new WorkerProcess('bundle-worker.ts', [out, String(bytes)]);
  expect(await worker.message()).toBe('waiting');
  return worker;
}

afterEach(() => worker?.end().catch(() => undefined));

describe('two processes that write one bundle', () => {
  it('do not do it at once; when one is killed, the other goes on from what it has left', async () => {
    const planned = await everyKind();
    const expected = await finishBundle(await memoryFolder(), planned);
    const out = await memoryFolder();
    const other = await startWorker(out, 4_000_000);
    const error = await expectError('LOCKED', '.lock', () => BundleWriter.open(writerOptions(out, planned)));
    expect(error.exitCode).toBe(75);
    await other.kill();
    await withWriter(out, planned, async (writer) => {
      expect(existsSync(`${writer.target.path}.lock`)).toBe(true);
      let present = 0;
      for (const { descriptor } of [...planned.stored, ...planned.compressed]) {
        present += (await writer.exists(descriptor)) ? descriptor.size : await writer.resumeOffset(descriptor);
      }
      // Of 4 MB that were read, all but what was on its way: in this bundle, less than a write or a frame of two blobs.
      expect(present).toBeGreaterThan(4_000_000 - 2 * 1024 * 1024);
    });
    expectSame(await finishBundle(out, planned), expected);
  });

  it('do not do it at once in one process either', async () => {
    const planned = await everyKind();
    const out = await memoryFolder();
    await withWriter(out, planned, async () => {
      await expectError('LOCKED', 'another process is at work here', () =>
        BundleWriter.open(writerOptions(out, planned)),
      );
    });
    await (await BundleWriter.open(writerOptions(out, planned))).close();
  });
});
