import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface RunOptions {
  readonly cwd?: string | undefined;
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** Where its stderr goes. Default: kept, and part of the error where it fails. */
  readonly stderr?: 'inherit' | 'pipe' | undefined;
}

export interface Finished {
  readonly stdout: string;
  readonly durationMs: number;
}

const startTimeoutMs = 20_000;

/** The child processes of a script: none of them is left when the script ends, fails or is interrupted. */
export class Processes {
  readonly #running = new Set<ChildProcess>();

  constructor() {
    process.once('exit', () => {
      for (const child of this.#running) child.kill('SIGKILL');
    });
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => {
        process.exit(128 + (signal === 'SIGINT' ? 2 : 15));
      });
    }
  }

  /** Runs a program to its end. @throws Error with its stderr where it fails */
  async run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
    const { cwd, env, stderr = 'pipe' } = options;
    const started = performance.now();
    const child = spawn(program, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', stderr] });
    this.#keep(child);
    const stdout: Buffer[] = [];
    const errors: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => errors.push(chunk));
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    if (code !== 0) {
      const said = Buffer.concat(errors).toString().trim();
      throw new Error(`${program} ${args.join(' ')}: ended with ${code ?? signal ?? 'nothing'}\n${said}`);
    }
    return { stdout: Buffer.concat(stdout).toString(), durationMs: performance.now() - started };
  }

  /** Starts a registry and waits until it answers at `url`. @throws Error with its output where it does not */
  async startRegistry(program: string, args: readonly string[], url: string): Promise<ChildProcess> {
    if (await isAnswering(url)) throw new Error(`another program listens at ${url}; end it and try again`);
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#keep(child);
    let said = '';
    const hear = (chunk: Buffer): void => {
      said = (said + chunk.toString()).slice(-4000);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    child.once('error', (error) => hear(Buffer.from(error.message)));
    const deadline = performance.now() + startTimeoutMs;
    for (;;) {
      await sleep(20);
      if (child.exitCode !== null || child.pid === undefined) {
        throw new Error(`the registry for ${url} did not start: ${said.trim()}`);
      }
      const answer = await fetch(`${url}/v2/`).catch(() => undefined);
      if (answer?.ok === true) return child;
      if (performance.now() > deadline) throw new Error(`the registry does not answer at ${url}: ${said.trim()}`);
    }
  }

  async end(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill();
    await once(child, 'close');
  }

  /** Ends all that still runs. */
  async endAll(): Promise<void> {
    await Promise.all([...this.#running].map((child) => this.end(child)));
  }

  #keep(child: ChildProcess): void {
    this.#running.add(child);
    child.once('close', () => this.#running.delete(child));
  }
}

function isAnswering(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  return new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
  }).finally(() => socket.destroy());
}
