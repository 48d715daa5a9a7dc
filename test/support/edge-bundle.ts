import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

/** The source, or what was compiled from it: the loader that runs TypeScript takes memory of its own. */
const main = process.env.EDGE_BUNDLE_MAIN ?? new URL('../../src/cli/main.ts', import.meta.url).pathname;
const loader = main.endsWith('.ts') ? ['--import', 'tsx'] : [];

export interface EdgeBundleOptions {
  /** Set besides PATH; HOME and Docker's configuration of whoever runs the tests are left out. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly input?: string | undefined;
}

export interface EdgeBundleRun {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts the real command line in a process of its own. */
export function startEdgeBundle(args: readonly string[], options: EdgeBundleOptions = {}): ChildProcess {
  return spawn(process.execPath, [...loader, main, ...args], {
    env: { PATH: process.env.PATH ?? '', HOME: '/nonexistent', ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

/** Runs it to its end. */
export async function edgeBundle(args: readonly string[], options: EdgeBundleOptions = {}): Promise<EdgeBundleRun> {
  const child = startEdgeBundle(args, options);
  child.stdin?.end(options.input ?? '');
  if (child.stdout === null || child.stderr === null) throw new Error('the process has no output');
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { exitCode: child.exitCode, stdout, stderr };
}
