import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import type { Readable, Writable } from 'node:stream';

import { abortedError, throwIfAborted } from '../errors.ts';
import { fileError } from '../files/file-error.ts';

export interface BoundedRun {
  /** The program's path and its arguments. */
  readonly command: readonly [string, ...string[]];
  readonly folder: string;
  /** All that it gets of an environment. */
  readonly environment: Readonly<Record<string, string>>;
  readonly input: string;
  readonly timeoutMs: number;
  readonly maxMemoryBytes: number;
  readonly maxOutputBytes: number;
  readonly signal?: AbortSignal | undefined;
}

export interface EndedRun {
  /** `done` where it ended with exit code 0; otherwise how it failed, or which bound it met. */
  readonly outcome: 'done' | 'failed' | 'timeout' | 'output';
  readonly stdout: string;
  /** The beginning, where it is long. */
  readonly stderr: string;
  /** What ended it, where that was a signal. */
  readonly killedBy: NodeJS.Signals | undefined;
}

const maxErrorBytes = 1024 * 1024;

/**
 * Address space and processor time are bounded by the system, which holds even where this process is killed. Where it
 * knows no such limit (macOS has none for memory), the rest still applies.
 */
const limited = 'ulimit -c 0; ulimit -v "$1"; ulimit -t "$2"; shift 2; exec "$@"';

/**
 * Runs a program that may be fed by something hostile: bounded in time, memory and output. It has ended when this returns.
 *
 * @throws EdgeBundleError ABORTED; FILE_FAILED where there is no shell to start it
 */
export async function runBounded(run: BoundedRun): Promise<EndedRun> {
  const { folder, environment, timeoutMs, maxMemoryBytes, signal } = run;
  throwIfAborted(signal);
  const processorSeconds = Math.ceil(timeoutMs / 1000) * availableParallelism();
  const limits = [Math.floor(maxMemoryBytes / 1024), processorSeconds].map(String);
  const child = spawn('/bin/sh', ['-c', limited, 'sh', ...limits, ...run.command], {
    cwd: folder,
    env: { ...environment },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const kill = (): boolean => child.kill('SIGKILL');
  let bound: 'timeout' | 'output' | undefined;
  const endBy = (reason: 'timeout' | 'output'): void => {
    bound ??= reason;
    kill();
  };
  const timer = setTimeout(endBy, timeoutMs, 'timeout');
  signal?.addEventListener('abort', kill, { once: true });
  process.once('exit', kill);
  try {
    const ended = await collect(child, run, () => endBy('output'));
    if (signal?.aborted === true) throw abortedError(signal);
    const { exitCode, ...rest } = ended;
    // It may have ended well before it could be killed: what it gave is cut off all the same.
    return { ...rest, outcome: bound ?? (exitCode === 0 ? 'done' : 'failed') };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', kill);
    process.removeListener('exit', kill);
  }
}

async function collect(
  child: ChildProcessByStdio<Writable, Readable, Readable>,
  run: BoundedRun,
  onTooMuch: () => void,
): Promise<Omit<EndedRun, 'outcome'> & { readonly exitCode: number | null }> {
  const [stdout, stderr] = [new Collector(run.maxOutputBytes), new Collector(maxErrorBytes)];
  child.stdout.on('data', (chunk: Buffer) => {
    if (!stdout.add(chunk)) onTooMuch();
  });
  child.stderr.on('data', (chunk: Buffer) => void stderr.add(chunk));
  // It may end without reading its input.
  child.stdin.on('error', () => undefined).end(run.input);
  const { exitCode, killedBy } = await new Promise<{ exitCode: number | null; killedBy: NodeJS.Signals | undefined }>(
    (resolve, reject) => {
      child.once('error', (error) => reject(fileError(error, `cannot start '${run.command[0]}'`)));
      child.once('close', (code, signalName) => resolve({ exitCode: code, killedBy: signalName ?? undefined }));
    },
  );
  return { exitCode, killedBy, stdout: stdout.text(), stderr: stderr.text() };
}

/** Keeps up to a number of bytes; the rest is dropped. */
class Collector {
  readonly #maxBytes: number;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** False where there is too much. */
  add(chunk: Buffer): boolean {
    const kept = chunk.subarray(0, this.#maxBytes - this.#bytes);
    this.#bytes += kept.byteLength;
    this.#chunks.push(kept);
    return kept.byteLength === chunk.byteLength;
  }

  text(): string {
    return Buffer.concat(this.#chunks).toString('utf8');
  }
}
