import { readdirSync, readFileSync } from 'node:fs';

const intervalMs = 5;

/** What a process, and all that it starts, show to whoever lists processes: sampled while they run. */
export class ProcessWatch {
  readonly #root: number;
  readonly #timer: NodeJS.Timeout;
  readonly #commands = new Set<string>();

  constructor(root: number) {
    this.#root = root;
    this.#timer = setInterval(() => this.#sample(this.#root), intervalMs);
    this.#sample(root);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** The command lines that were seen, one argument a line. */
  get commands(): string[] {
    return [...this.#commands];
  }

  /** proc(5): what each thread has started is in a file of its own. */
  #sample(pid: number): void {
    const threads = unlessEnded(() => readdirSync(`/proc/${pid}/task`)) ?? [];
    for (const thread of threads) {
      const children = unlessEnded(() => readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8')) ?? '';
      for (const child of children.split(' ').filter((text) => text !== '')) this.#sample(Number(child));
    }
    const command = unlessEnded(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
    if (command !== undefined && command !== '') this.#commands.add(command.replaceAll('\0', '\n'));
  }
}

function unlessEnded<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
