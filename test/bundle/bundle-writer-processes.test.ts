import { existsSync } from 'node:fs';

import { afterEach, describe, expect, it } from 'vitest';

import { BundleWriter } from '../../src/bundle/bundle-writer.ts';
import { everyKind, expectSame, finishBundle, withWriter, writerOptions } from '../support/bundles.ts';
import { expectError } from '../support/expect-error.ts';
import { memoryFolder } from '../support/temporary-folder.ts';
import { WorkerProcess } from '../support/worker-process.ts';

const workers: WorkerProcess[] = [];

/** A process that has read about so many bytes of the bundle's content, and waits. */
async function startWorker(out: string, bytes: number): Promise<WorkerProcess> {
  const worker = new WorkerProcess('bundle-worker.ts', [out, String(bytes)]);
  workers.push(worker);
  expect(await worker.message()).toBe('waiting');
  return worker;
}

afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.kill();
});

describe('two processes that write one bundle', () => {
  it('do not do it at once; when one is killed, the other goes on from what it has left', async () => {
    const planned = await everyKind();
    const expected = await finishBundle(await memoryFolder(), planned);
    const out = await memoryFolder();
    for (const bytes of [300_000, 2_000_000, 2_500_000]) {
      await startWorker(out, bytes);
      const error = await expectError('LOCKED', '.lock', () => BundleWriter.open(writerOptions(out, planned)));
      expect(error.exitCode).toBe(75);
      await workers.pop()?.kill();
    }
    await withWriter(out, planned, async (writer) => {
      expect(existsSync(`${writer.target.path}.lock`)).toBe(true);
      let present = 0;
      for (const { descriptor } of [...planned.stored, ...planned.compressed]) {
        present += (await writer.exists(descriptor)) ? descriptor.size : await writer.resumeOffset(descriptor);
      }
      // Of nearly 5 MB that were read, all but what was on its way: a write of 1 MiB and a frame of 1 MiB for each blob.
      expect(present).toBeGreaterThan(2_000_000);
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
    await withWriter(out, planned, (writer) => expect(writer.resumeOffset).toBeTypeOf('function'));
  });
});
