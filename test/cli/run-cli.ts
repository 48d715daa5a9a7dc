import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once, setMaxListeners } from 'node:events';
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

import { runCommandLine } from '../../src/cli/command-line.ts';

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const loader = import.meta.resolve('tsx');

export interface CliOptions {
  /** Added to the environment, which has no login of the person who runs the tests. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly stdin?: string;
}

export interface CliResult {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the real command line to its end. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return startCli(args, options).result();
}

/** Runs a command line inside this process: much quicker. */
export async function runInProcess(
  args: readonly string[],
  { environment = {}, stdin = '' }: CliOptions = {},
): Promise<CliResult> {
  const { signal } = new AbortController();
  setMaxListeners(0, signal);
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const [out, err] = [text(stdout), text(stderr)];
  const exitCode = await runCommandLine(args, {
    stdin: Readable.from([Buffer.from(stdin)]),
    stdout,
    stderr,
    environment: { HOME: '/nonexistent', ...environment },
    signal,
  });
  stdout.end();
  stderr.end();
  return { exitCode, stdout: await out, stderr: await err };
}

export interface RunningCli {
  readonly process: ChildProcessWithoutNullStreams;
  /** What came on stderr so far. */
  stderr(): string;
  /** Waits until `pattern` has come on stdout or stderr. */
  waitFor(pattern: RegExp): Promise<RegExpExecArray>;
  result(): Promise<CliResult>;
}

export function startCli(args: readonly string[], { environment = {}, stdin = '' }: CliOptions = {}): RunningCli {
  const { PATH = '' } = process.env;
  const env = { PATH, HOME: '/nonexistent', ...environment };
  const child = spawn(process.execPath, ['--import', loader, main, ...args], { env });
  let hasEnded = false;
  const ended = (once(child, 'close') as Promise<[number | null]>).finally(() => (hasEnded = true));
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdin.on('error', () => undefined).end(stdin);
  return {
    process: child,
    stderr: () => stderr,
    async waitFor(pattern) {
      for (;;) {
        const found = pattern.exec(`${stdout}\n${stderr}`);
        if (found !== null) return found;
        // Not when it exits: what it wrote last may come after that.
        if (hasEnded) throw new Error(`it ended without ${String(pattern)}: ${stdout}${stderr}`);
        await Promise.race([once(child.stdout, 'data'), once(child.stderr, 'data'), ended]);
      }
    },
    async result() {
      const [exitCode] = await ended;
      return { exitCode, stdout, stderr };
    },
  };
}
