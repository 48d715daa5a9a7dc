import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { bootId } from '../../src/files/boot-id.ts';
import { FileLock, withFileLock } from '../../src/files/file-lock.ts';
import { whyNoMount, withSmallDisk } from '../support/small-disk.ts';
import { expectCode } from '../support/store-contract.ts';
import { memoryFolder, temporaryFolder } from '../support/temporary-folder.ts';
import { WorkerProcess } from '../support/worker-process.ts';

async function newPath(): Promise<string> {
  return join(await temporaryFolder(), 'thing.lock');
}

/** As a process of another container would leave it. */
async function writeForeignLock(path: string, silentMs: number): Promise<void> {
  await writeLock(path, { nonce: 'n', pid: 1, startTime: '1', bootId: bootId(), pidNamespace: 'other' }, silentMs);
}

async function writeLock(path: string, content: object | '', silentMs: number): Promise<void> {
  await writeFile(path, content === '' ? '' : JSON.stringify(content));
  const time = new Date(Date.now() - silentMs);
  await utimes(path, time, time);
}

/** What a process like this one writes. */
async function ownHolder(path: string): Promise<Record<string, unknown>> {
  const lock = await FileLock.acquire(path);
  const holder = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
  await lock.release();
  return holder;
}

describe('a file lock', () => {
  it('is a file while it is held, and leaves nothing', async () => {
    const path = join(await temporaryFolder(), 'made', 'thing.lock');
    const lock = await FileLock.acquire(path);
    expect((await stat(path)).isFile()).toBe(true);
    await lock.release();
    expect(await readdir(dirname(path))).toEqual([]);
  });

  it('is refused to others at once, with a hint', async () => {
    const path = await newPath();
    const lock = await FileLock.acquire(path);
    await expectCode('LOCKED', () => FileLock.acquire(path));
    await expect(FileLock.acquire(path)).rejects.toMatchObject({
      hint: expect.stringContaining('remove that file') as string,
    });
    await lock.release();
    await (await FileLock.acquire(path)).release();
  });

  it('comes to who waits for it, and not to who has waited long enough', async () => {
    const path = await newPath();
    const lock = await FileLock.acquire(path);
    await expectCode('LOCKED', () => FileLock.acquire(path, { waitMs: 50 }));
    const waiting = FileLock.acquire(path, { waitMs: 10_000 });
    await sleep(50);
    await lock.release();
    await (await waiting).release();
  });

  it('is not waited for any longer when the signal is aborted', async () => {
    const path = await newPath();
    const lock = await FileLock.acquire(path);
    await expectCode('ABORTED', () => FileLock.acquire(path, { waitMs: 10_000, signal: AbortSignal.timeout(50) }));
    await lock.release();
  });

  it('is released where the task fails', async () => {
    const path = await newPath();
    await expect(withFileLock(path, {}, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    await (await FileLock.acquire(path)).release();
  });

  it('keeps tasks of one process apart, however many there are', async () => {
    const path = await newPath();
    let running = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 20 }, () =>
        withFileLock(path, { waitMs: 200_000 }, async () => {
          running += 1;
          most = Math.max(most, running);
          await sleep(1);
          running -= 1;
        }),
      ),
    );
    expect(most).toBe(1);
  });

  it('keeps tasks of several processes apart, from a dead holder on', async () => {
    const folder = await memoryFolder();
    const [path, file] = [join(folder, 'thing.lock'), join(folder, 'number')];
    await writeFile(file, '0');
    const dead = new WorkerProcess('lock-worker.ts', ['hold', path]);
    expect(await dead.message()).toBe('held');
    await dead.kill();
    const workers = Array.from({ length: 3 }, () => new WorkerProcess('lock-worker.ts', ['count', path, file, '100']));
    await Promise.all(workers.map((worker) => worker.end()));
    expect(await readFile(file, 'utf8')).toBe('300');
    expect(await readdir(folder)).toEqual(['number']);
  });

  it('is held against this process while another one lives, and taken at once when that was killed', async () => {
    const path = await newPath();
    const worker = new WorkerProcess('lock-worker.ts', ['hold', path]);
    expect(await worker.message()).toBe('held');
    await expectCode('LOCKED', () => FileLock.acquire(path));
    await worker.kill();
    await (await FileLock.acquire(path)).release();
  });

  it('is taken from a holder that cannot be looked up only after a minute without a sign of life', async () => {
    const path = await newPath();
    await writeForeignLock(path, 50_000);
    await expectCode('LOCKED', () => FileLock.acquire(path));
    await writeForeignLock(path, 70_000);
    await (await FileLock.acquire(path)).release();
  });

  it('is taken from an earlier boot of this machine, which has missed three signs of life', async () => {
    const path = join(await memoryFolder(), 'thing.lock');
    const holder = { ...(await ownHolder(path)), bootId: 'an earlier one' };
    // A container that says it has a boot of its own, and lives.
    await writeLock(path, holder, 5_000);
    await expectCode('LOCKED', () => FileLock.acquire(path));
    await writeLock(path, holder, 20_000);
    await (await FileLock.acquire(path)).release();
    // A machine without a battery for its clock.
    await writeLock(path, holder, -86_400_000);
    await (await FileLock.acquire(path)).release();
    // What the file system has of a file that was written just before the power cut.
    await writeLock(path, '', 20_000);
    await (await FileLock.acquire(path)).release();
    await writeLock(path, holder, 20_000);
    await writeLock(`${path}.removal`, '', 20_000);
    await (await FileLock.acquire(path)).release();
    expect(await readdir(dirname(path))).toEqual([]);
  });

  it('is taken only after a minute from a holder whose boot, or this one, is not known', async () => {
    const path = await newPath();
    const holder = { ...(await ownHolder(path)), bootId: undefined };
    await writeLock(path, holder, 20_000);
    await expectCode('LOCKED', () => FileLock.acquire(path));
    await writeLock(path, holder, 70_000);
    await (await FileLock.acquire(path)).release();
  });

  it('is taken from a holder that wrote before the clock was set back', async () => {
    const path = await newPath();
    await writeForeignLock(path, -3_600_000);
    await (await FileLock.acquire(path)).release();
  });

  it('is taken from a process whose number another process has now', async () => {
    const path = await newPath();
    await writeFile(path, JSON.stringify({ ...(await ownHolder(path)), startTime: '1' }));
    await (await FileLock.acquire(path)).release();
  });

  it('is taken from a process that has ended, and that its parent has not asked about', async () => {
    const path = await newPath();
    const parent = spawn('sh', ['-c', 'sleep 0.3 & echo $!; exec sleep 600'], { stdio: ['ignore', 'pipe', 'ignore'] });
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    const pid = Number(line.toString());
    const fields = async (): Promise<string[]> => (await readFile(`/proc/${pid}/stat`, 'utf8')).split(' ');
    while ((await fields())[2] !== 'Z') await sleep(5);
    const holder = await ownHolder(path);
    await writeFile(path, JSON.stringify({ ...holder, pid, startTime: (await fields())[21] }));
    await (await FileLock.acquire(path)).release();
    parent.kill();
  });

  it('is left alone while its holder may still be writing it', async () => {
    const path = await newPath();
    await writeFile(path, '{"nonce":');
    await expectCode('LOCKED', () => FileLock.acquire(path));
    const old = new Date(Date.now() - 70_000);
    await utimes(path, old, old);
    await (await FileLock.acquire(path)).release();
  });

  it('is not released for somebody who has taken it meanwhile', async () => {
    const path = await newPath();
    const lost = await FileLock.acquire(path);
    await writeForeignLock(path, 0);
    await lost.release();
    expect((await stat(path)).isFile()).toBe(true);
  });

  it('is not released at the end of a process that has lost it', async () => {
    const path = await newPath();
    const other = JSON.stringify({ nonce: 'n', pid: 1, pidNamespace: 'other' });
    await new WorkerProcess('lock-worker.ts', ['lose', path, other]).end();
    expect(await readFile(path, 'utf8')).toBe(other);
  });

  it('is taken where a process was killed while it removed a dead holder', async () => {
    const path = await newPath();
    await writeForeignLock(path, 70_000);
    await writeFile(`${path}.removal`, '');
    await expectCode('LOCKED', () => FileLock.acquire(path));
    const old = new Date(Date.now() - 70_000);
    await utimes(`${path}.removal`, old, old);
    await (await FileLock.acquire(path)).release();
    expect(await readdir(dirname(path))).toEqual([]);
  });

  it.runIf(whyNoMount === undefined)(
    `is not left half-written on a full disk (${whyNoMount ?? 'on a tmpfs'})`,
    async () => {
      await withSmallDisk(8192, async (folder) => {
        await writeFile(join(folder, 'filler'), Buffer.alloc(8192)).catch((error: unknown) => {
          expect(error).toMatchObject({ code: 'ENOSPC' });
        });
        await expectCode('NO_SPACE', () => FileLock.acquire(join(folder, 'thing.lock')));
        expect(await readdir(folder)).toEqual(['filler']);
      });
    },
  );
});
