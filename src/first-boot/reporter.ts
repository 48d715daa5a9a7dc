import { statusLine } from './status-line.ts';
import type { StatusFile } from './status-file.ts';
import type { FirstBootStatus } from '../report/first-boot-status.ts';
import type { SystemdNotifier } from './systemd-notifier.ts';

/** What first-boot tells people while it runs. */
export type FirstBootEvent =
  | { readonly type: 'line'; readonly text: string; readonly status: FirstBootStatus }
  | { readonly type: 'warning'; readonly text: string };

const intervalMs = 5_000;
const longestIntervalMs = 60_000;
/** A test wants to see the beat. */
const leastIntervalMs = 10;

export interface ReporterOptions {
  readonly status: StatusFile;
  readonly notifier: SystemdNotifier;
  readonly onEvent?: ((event: FirstBootEvent) => void) | undefined;
  readonly intervalMs?: number | undefined;
}

/**
 * Tells how far it is, in three places: the status file, systemd, and lines for the console. At each change of the state, and
 * every few seconds; a wait that lasts is told ever less often on the console.
 */
export class Reporter {
  readonly #options: ReporterOptions;
  readonly #intervalMs: number;
  readonly #timer: NodeJS.Timeout;
  #nextLineMs = 0;
  #pauseMs = 0;
  /** Of the transfer that is under way. */
  bytesPerSecond: () => number = () => 0;

  constructor(options: ReporterOptions) {
    this.#options = options;
    const { watchdogMs = Infinity } = options.notifier;
    this.#intervalMs = Math.max(leastIntervalMs, Math.min(options.intervalMs ?? intervalMs, watchdogMs / 2));
    this.#timer = setInterval(() => void this.#beat(), this.#intervalMs);
  }

  /** The state has changed: told at once. */
  async changed(change: Partial<FirstBootStatus>): Promise<void> {
    this.#options.status.update(change);
    this.#pauseMs = this.#intervalMs;
    await this.#tell();
  }

  /** Something that people should know of, and that stops nothing. */
  warn(text: string): void {
    this.#options.onEvent?.({ type: 'warning', text });
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #beat(): Promise<void> {
    if (performance.now() >= this.#nextLineMs) {
      await this.#tell();
      const isWaiting = this.#options.status.current.waiting !== undefined;
      if (isWaiting) this.#pauseMs = Math.min(longestIntervalMs, this.#pauseMs * 2);
      return;
    }
    // Nobody has to read it, but it says that this is alive.
    this.#options.notifier.status(this.#line());
  }

  async #tell(): Promise<void> {
    const { status, notifier, onEvent } = this.#options;
    const text = this.#line();
    status.update({ line: text });
    this.#nextLineMs = performance.now() + this.#pauseMs - this.#intervalMs / 2;
    onEvent?.({ type: 'line', text, status: status.current });
    notifier.status(text);
    await status.save();
  }

  #line(): string {
    return statusLine(this.#options.status.current, { nowMs: Date.now(), bytesPerSecond: this.bytesPerSecond() });
  }
}
