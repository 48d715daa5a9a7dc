import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

/** A script of this folder that runs in a process of its own. */
export class WorkerProcess {
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  readonly #messages: unknown[] = [];
  #stderr = '';

  /** @param script the file's name in test/support/ */
  constructor(script: string, args: readonly string[]) {
    this.#child = fork(new URL(script, import.meta.url), args, { execArgv: ['--import', 'tsx'], silent: true });
    this.#closed = once(this.#child, 'close');
    this.#child.on('message', (message) => this.#messages.push(message));
    this.#child.stderr?.on('data', (chunk: Buffer) => (this.#stderr += chunk.toString()));
  }

  /** The next thing that the script sends. */
  async message(): Promise<unknown> {
    for (;;) {
      const message = this.#messages.shift();
      if (message !== undefined) return message;
      const next = once(this.#child, 'message').then(() => 'message' as const);
      const ended = this.#closed.then(() => 'ended' as const);
      if ((await Promise.race([next, ended])) === 'ended' && this.#messages.length === 0) {
        throw new Error(`the process ended: ${this.#stderr}`);
      }
    }
  }

  /** @throws Error where it ends with another code than 0 */
  async end(): Promise<void> {
    await this.#closed;
    if (this.#child.exitCode !== 0) throw new Error(`the process failed (${this.#child.exitCode}): ${this.#stderr}`);
  }

  /** kill -9, and waits until it is gone. @throws Error where it has ended before */
  async kill(): Promise<void> {
    if (!this.#child.kill('SIGKILL')) throw new Error(`the process had ended: ${this.#stderr}`);
    await this.#closed;
  }
}
