import { randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync, rmSync } from 'node:fs';
import { mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { z } from 'zod';

import { EdgeBundleError, systemErrorCode, throwIfAborted } from '../errors.ts';
import { bootId } from './boot-id.ts';
import { fileError } from './file-error.ts';

const heartbeatMs = 5_000;
const staleMs = 60_000;
const pollMs = 10;

export interface FileLockOptions {
  /** How long to wait for another holder; in milliseconds. Default: not at all. */
  readonly waitMs?: number;
  readonly signal?: AbortSignal | undefined;
}

const holderSchema = z.object({
  nonce: z.string(),
  pid: z.int(),
  startTime: z.string().optional(),
  pidNamespace: z.string().optional(),
  bootId: z.string().optional(),
});

type Holder = z.infer<typeof holderSchema>;

/**
 * A lock between processes: a file that exists while it is held. A holder that died is noticed at once where its
 * process can be looked up (same boot, same PID namespace), and after a minute without a sign of life elsewhere.
 */
export class FileLock {
  readonly #path: string;
  readonly #heartbeat: NodeJS.Timeout;
  readonly #releaseAtExit: () => void;

  private constructor(path: string) {
    this.#path = path;
    this.#heartbeat = setInterval(() => {
      const now = new Date();
      utimes(path, now, now).catch(() => undefined);
    }, heartbeatMs);
    this.#heartbeat.unref();
    this.#releaseAtExit = () => rmSync(path, { force: true });
    process.once('exit', this.#releaseAtExit);
  }

  /** @throws EdgeBundleError LOCKED where somebody else holds it, FILE_FAILED, NO_SPACE, ABORTED */
  static async acquire(path: string, options: FileLockOptions = {}): Promise<FileLock> {
    const { waitMs = 0, signal } = options;
    const deadline = Date.now() + waitMs;
    const holder = thisProcess();
    await mkdir(dirname(path), { recursive: true }).catch((error: unknown) => {
      throw fileError(error, `cannot make the folder of '${path}'`);
    });
    for (;;) {
      throwIfAborted(signal);
      try {
        await writeFile(path, JSON.stringify(holder), { flag: 'wx' });
        return new FileLock(path);
      } catch (error) {
        if (systemErrorCode(error) !== 'EEXIST') throw fileError(error, `cannot lock '${path}'`);
      }
      if (await removeStale(path)) continue;
      if (Date.now() >= deadline) {
        throw new EdgeBundleError('LOCKED', `another process is at work here: '${path}' is held`, {
          hint: 'Wait until it ends. If no such process runs, on this machine or another, remove that file.',
        });
      }
      await sleep(pollMs);
    }
  }

  async release(): Promise<void> {
    clearInterval(this.#heartbeat);
    process.removeListener('exit', this.#releaseAtExit);
    await rm(this.#path, { force: true });
  }
}

/** Runs `task` while the lock is held. */
export async function withFileLock<T>(path: string, options: FileLockOptions, task: () => Promise<T>): Promise<T> {
  const lock = await FileLock.acquire(path, options);
  try {
    return await task();
  } finally {
    await lock.release();
  }
}

/** True where the lock is free now, or may be: the caller tries again. */
async function removeStale(path: string): Promise<boolean> {
  const found = await readHolder(path);
  if (found === 'gone') return true;
  if (found !== 'unreadable' && !(await isDead(found, path))) return false;
  if (found === 'unreadable' && (await ageMs(path)) < staleMs) return false;
  const aside = `${path}.${randomUUID()}.stale`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return true;
    throw fileError(error, `cannot remove the stale lock '${path}'`);
  }
  const taken = await readHolder(aside);
  const isTheStaleOne =
    typeof found === 'object' && typeof taken === 'object' ? taken.nonce === found.nonce : found === taken;
  if (isTheStaleOne) await rm(aside, { force: true });
  else await rename(aside, path);
  return isTheStaleOne;
}

async function readHolder(path: string): Promise<Holder | 'gone' | 'unreadable'> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return 'gone';
    throw fileError(error, `cannot read the lock '${path}'`);
  }
  try {
    return holderSchema.parse(JSON.parse(text));
  } catch {
    return 'unreadable';
  }
}

async function isDead(holder: Holder, path: string): Promise<boolean> {
  const self = thisProcess();
  if (holder.bootId !== self.bootId || holder.pidNamespace !== self.pidNamespace) return (await ageMs(path)) > staleMs;
  if (holder.startTime !== undefined) return holder.startTime !== processStartTime(holder.pid);
  try {
    process.kill(holder.pid, 0);
    return false;
  } catch (error) {
    return systemErrorCode(error) === 'ESRCH';
  }
}

async function ageMs(path: string): Promise<number> {
  try {
    return Date.now() - (await stat(path)).mtimeMs;
  } catch {
    return 0;
  }
}

function thisProcess(): Holder {
  return {
    nonce: randomUUID(),
    pid: process.pid,
    startTime: processStartTime(process.pid),
    pidNamespace: pidNamespace(),
    bootId: bootId(),
  };
}

/** In clock ticks since boot: field 22 of /proc/PID/stat (proc(5)), which tells apart two processes of one number. */
function processStartTime(pid: number): string | undefined {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return line.slice(line.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

function pidNamespace(): string | undefined {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return undefined;
  }
}
