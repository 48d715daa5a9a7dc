import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

import { stringify } from 'smol-toml';

const run = promisify(execFile);
const startTimeoutMs = 120_000;

export interface PullOptions {
  /** What `/etc/containerd/certs.d` would be. */
  readonly hostsDirectory: string;
  readonly login?: { readonly name: string; readonly password: string } | undefined;
}

/** containerd runs as root alone. */
export const canRunContainerd = process.getuid?.() === 0;
/** What unpacking takes, which a container may not have. */
export const canMount = canRunContainerd && spawnSync('unshare', ['--mount', 'true']).status === 0;

/** Debian's containerd, with folders and a socket of its own, and nothing that needs a kernel feature. */
export class Containerd {
  readonly #child: ChildProcess;
  readonly #folder: string;
  #pulls = 0;

  private constructor(child: ChildProcess, folder: string) {
    this.#child = child;
    this.#folder = folder;
  }

  static async start(): Promise<Containerd> {
    const folder = await mkdtemp(join(tmpdir(), 'edge-bundle-containerd-'));
    const config = {
      version: 2,
      root: join(folder, 'root'),
      state: join(folder, 'state'),
      grpc: { address: join(folder, 'socket') },
      disabled_plugins: ['io.containerd.grpc.v1.cri', 'io.containerd.internal.v1.opt'],
      // What one pull has brought, another one does not have yet.
      plugins: { 'io.containerd.metadata.v1.bolt': { content_sharing_policy: 'isolated' } },
    };
    await writeFile(join(folder, 'config.toml'), stringify(config));
    const child = spawn('containerd', ['--config', join(folder, 'config.toml')], { stdio: 'ignore' });
    const containerd = new Containerd(child, folder);
    const deadline = Date.now() + startTimeoutMs;
    while (!(await containerd.#isReady())) {
      if (child.exitCode !== null || Date.now() > deadline) {
        await containerd.stop();
        throw new Error('containerd does not start');
      }
      await sleep(50);
    }
    return containerd;
  }

  /** Fetches an image with all its platforms into a place that has nothing yet, and tells the digest that its name has there. */
  async fetch(reference: string, { hostsDirectory, login }: PullOptions): Promise<string> {
    return this.#get(['content', 'fetch', '--all-platforms'], reference, { hostsDirectory, login });
  }

  /** Pulls an image for this machine and unpacks it, as a kubelet has it done; that takes the right to mount. */
  async pull(reference: string, options: PullOptions): Promise<string> {
    return this.#get(['images', 'pull', '--snapshotter', 'native'], reference, options);
  }

  async #get(command: readonly string[], reference: string, { hostsDirectory, login }: PullOptions): Promise<string> {
    const namespace = `pull-${++this.#pulls}`;
    const credentials = login === undefined ? [] : ['--user', `${login.name}:${login.password}`];
    await this.#ctr(namespace, [...command, '--hosts-dir', hostsDirectory, ...credentials, reference]);
    const images = await this.#ctr(namespace, ['images', 'ls', `name==${reference}`]);
    return /sha256:[0-9a-f]{64}/.exec(images)?.[0] ?? '';
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, 'exit');
      this.#child.kill();
      await ended;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #isReady(): Promise<boolean> {
    return this.#ctr('default', ['version']).then(
      () => true,
      () => false,
    );
  }

  async #ctr(namespace: string, args: readonly string[]): Promise<string> {
    const { stdout } = await run('ctr', ['--address', join(this.#folder, 'socket'), '--namespace', namespace, ...args]);
    return stdout;
  }
}
