/** The buffers between us and a client's program have some of what was given, and nobody can see how much. */
const unseenBytes = 16 * 1024 * 1024;
/** A timer of Node.js for more than that ends at once. */
export const maxTimerMs = 2 ** 31 - 1;

export interface AnswerClockOptions {
  /** What a client has for the first byte; in milliseconds. */
  readonly startMs: number;
  /** The least that it takes, on an average. */
  readonly minBytesPerSecond: number;
  /** Called once, when its time is over. */
  readonly onOver: () => void;
}

/**
 * The time that a client has to take an answer: some to begin with, and more with every byte that it was given. It is saved up
 * for as many bytes as buffers may hold: what leaves them goes in leaps, and a client that reads steadily is never taken for one that
 * does not. The clock runs only while the client is waited for: that the disk is slow is no fault of its.
 */
export class AnswerClock {
  readonly #options: AnswerClockOptions;
  #leftMs: number;
  #sinceMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: AnswerClockOptions) {
    this.#options = options;
    this.#leftMs = options.startMs;
  }

  /** The client has so many bytes more to take, from now on. */
  runs(bytes: number): void {
    this.rests();
    const { startMs, minBytesPerSecond, onOver } = this.#options;
    const msFor = (count: number): number => (count / minBytesPerSecond) * 1000;
    this.#leftMs = Math.min(this.#leftMs + msFor(bytes), startMs + msFor(unseenBytes));
    this.#sinceMs = performance.now();
    this.#timer = setTimeout(onOver, Math.min(Math.max(0, this.#leftMs), maxTimerMs));
    this.#timer.unref();
  }

  /** Nothing is there for the client to take, or it has all. */
  rests(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#leftMs -= performance.now() - this.#sinceMs;
  }
}
