import { randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync, rmSync } from 'node:fs';
import { mkdir, open, readFile, rm, stat, utimes } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import * as z from 'zod';

import { EdgeBundleError, systemErrorCode, throwIfAborted } from '../errors.ts';
import { bootId } from './boot-id.ts';
import { fileError } from './file-error.ts';
import { isOnLocalDisk } from './local-disk.ts';

const heartbeatMs = 5_000;
const staleMs = 60_000;
/** On a disk of this machine three missed signs of life say enough. */
const localStaleMs = 3 * heartbeatMs;
const pollMs = 10;

export interface FileLockOptions {
  /** How long to wait for another holder; in milliseconds. Default: not at all. */
  readonly waitMs?: number | undefined;
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
 * process can be looked up (same boot, same PID namespace). What an earlier boot has left on a disk of this machine, whole or torn by
 * a power cut, counts for 15 seconds after its last sign of life; that of a container or of another machine for a minute.
 */
export class FileLock {
  readonly #path: string;
  readonly #nonce: string;
  readonly #heartbeat: NodeJS.Timeout;

  private constructor(path: string, nonce: string) {
    this.#path = path;
    this.#nonce = nonce;
    this.#heartbeat = setInterval(() => {
      const now = new Date();
      utimes(path, now, now).catch(() => undefined);
    }, heartbeatMs);
    this.#heartbeat.unref();
    releaseAtExit(path, nonce);
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
      if (await createExclusively(path, JSON.stringify(holder))) return new FileLock(path, holder.nonce);
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
    heldNonces.delete(this.#path);
    // A process that was suspended for long may have lost the lock to another one.
    const holder = await readHolder(this.#path);
    if (typeof holder === 'object' && holder.nonce === this.#nonce) await rm(this.#path, { force: true });
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

/** By the locks' paths. */
const heldNonces = new Map<string, string>();
let isReleasingAtExit = false;

/** One listener for all locks: a process may hold more of them than an emitter likes to have listeners. */
function releaseAtExit(path: string, nonce: string): void {
  heldNonces.set(path, nonce);
  if (isReleasingAtExit) return;
  isReleasingAtExit = true;
  process.on('exit', () => {
    for (const [held, own] of heldNonces) {
      try {
        if (readFileSync(held, 'utf8').includes(own)) rmSync(held, { force: true });
      } catch {
        // It is gone, or cannot be removed any more: others see that its holder is.
      }
    }
  });
}

/** False where the file is there already. A full disk leaves no empty file behind. */
async function createExclusively(path: string, content: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx');
    try {
      await file.writeFile(content);
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    } finally {
      await file.close();
    }
    return true;
  } catch (error) {
    if (systemErrorCode(error) === 'EEXIST') return false;
    throw fileError(error, `cannot lock '${path}'`);
  }
}

/** True where the lock is free now, or may be: the caller tries again. */
async function removeStale(path: string): Promise<boolean> {
  const holder = await readHolder(path);
  if (holder === 'gone') return true;
  if (!(await isStale(holder, path))) return false;
  // One process at a time removes a dead holder's lock, after another look. Of two that saw the same one, the slower would
  // else remove the lock that the quicker has taken meanwhile.
  const removal = `${path}.removal`;
  if (!(await createExclusively(removal, ''))) {
    if (!isOld(await ageMs(removal), await leftStaleMs(path))) return false;
    await rm(removal, { force: true });
    return true;
  }
  try {
    const still = await readHolder(path);
    if (still !== 'gone' && (await isStale(still, path))) await rm(path, { force: true });
  } finally {
    await rm(removal, { force: true });
  }
  return true;
}

async function isStale(holder: Holder | 'unreadable', path: string): Promise<boolean> {
  return holder === 'unreadable' ? isOld(await ageMs(path), await leftStaleMs(path)) : isDead(holder, path);
}

/** For how long what nobody can be asked about counts. A container may say that it has a boot of its own: it is given time too. */
async function leftStaleMs(path: string): Promise<number> {
  return (await isOnLocalDisk(path)) ? localStaleMs : staleMs;
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
  if (holder.bootId !== self.bootId) {
    const areKnown = holder.bootId !== undefined && self.bootId !== undefined;
    return isOld(await ageMs(path), areKnown ? await leftStaleMs(path) : staleMs);
  }
  if (holder.pidNamespace !== self.pidNamespace) return isOld(await ageMs(path), staleMs);
  if (holder.startTime !== undefined) return holder.startTime !== processStartTime(holder.pid);
  try {
    process.kill(holder.pid, 0);
    return false;
  } catch (error) {
    return systemErrorCode(error) === 'ESRCH';
  }
}

/** A time in the future counts as well: a machine without a battery for its clock starts in the past. */
function isOld(age: number, limitMs: number): boolean {
  return Math.abs(age) > limitMs;
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

/**
 * In clock ticks since boot: field 22 of /proc/PID/stat (proc(5)), which tells apart two processes of one number.
 * Undefined where there is no such process, and where it has ended and nobody has asked for its exit status yet.
 */
function processStartTime(pid: number): string | undefined {
  let line: string;
  try {
    line = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' ? undefined : fields[19];
}

function pidNamespace(): string | undefined {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return undefined;
  }
}
