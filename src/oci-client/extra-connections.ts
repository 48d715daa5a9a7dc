import { performance } from 'node:perf_hooks';

/** The unit in which a blob is fetched over several connections; each waits in memory until those before it have come. */
export const pieceBytes = 4 * 1024 * 1024;

/** How many pieces may wait in memory, over all blobs. */
const maxPieces = 10;
/** How many connections there may be besides the one that each blob has. */
const maxExtra = 7;
/** How long the rate is measured; after a change, connections get as long to come about and to speed up first. */
const windowMs = 750;
/** What more connections have to bring. */
const worthwhileGrowth = 1.15;
/** How long to leave it at that, once they did not. */
const holdMs = 15_000;
/** At this rate a connection is no bottleneck, and another one costs more than it brings. */
const enoughBytesPerSecond = 48e6;
/** A process that is as busy as this could not take more. */
const busyShare = 0.8;

/** A connection besides a blob's own, for one piece. */
export interface ExtraConnection {
  /** The piece has come, or will not: the connection is free. */
  disconnect(): void;
  /** The piece is not waiting in memory any more. */
  release(): void;
}

/**
 * How many connections a client opens besides the one that each blob has. It starts with none, tries more while large
 * blobs are fetched, and stays with as many as made everything together faster.
 */
export class ExtraConnections {
  #limit = 0;
  #connections = 0;
  #pieces = 0;
  #isWanted = false;
  /** What is measured since `#startMs`, on the clock of performance.now(). */
  #bytes = 0;
  #startMs = 0;
  #load = performance.eventLoopUtilization();
  /** What is compared with the next measurement, where the number has just been raised. */
  #trial: { readonly limit: number; readonly bytesPerSecond: number } | undefined;
  #isSettling = false;
  #heldUntilMs = 0;

  /** Tells of content that came, over any connection. */
  received(bytes: number): void {
    this.#bytes += bytes;
    const nowMs = performance.now();
    const elapsedMs = nowMs - this.#startMs;
    if (elapsedMs < windowMs) return;
    // A window with a pause in it says nothing.
    if (this.#isWanted && elapsedMs < 3 * windowMs) this.#adapt((this.#bytes * 1000) / elapsedMs, nowMs);
    this.#isWanted = false;
    this.#bytes = 0;
    this.#startMs = nowMs;
    this.#load = performance.eventLoopUtilization();
  }

  /** One more, for a reader that could take more than comes; undefined where there is to be none now. */
  take(): ExtraConnection | undefined {
    this.#isWanted = true;
    if (this.#connections >= this.#limit || this.#pieces >= maxPieces) return undefined;
    this.#connections += 1;
    this.#pieces += 1;
    const disconnect = once(() => (this.#connections -= 1));
    const free = once(() => (this.#pieces -= 1));
    return {
      disconnect,
      release: () => {
        disconnect();
        free();
      },
    };
  }

  /** Whether a blob is fetched in pieces just now. */
  get isInUse(): boolean {
    return this.#limit > 0;
  }

  /** A server did not like one of them. */
  refused(): void {
    this.#limit = Math.floor(this.#limit / 2);
    this.#trial = undefined;
    this.#heldUntilMs = performance.now() + holdMs;
  }

  #adapt(bytesPerSecond: number, nowMs: number): void {
    if (this.#isSettling) {
      this.#isSettling = false;
      return;
    }
    const trial = this.#trial;
    this.#trial = undefined;
    if (trial !== undefined && bytesPerSecond < trial.bytesPerSecond * worthwhileGrowth) {
      this.#limit = trial.limit;
      this.#heldUntilMs = nowMs + holdMs;
    }
    const isBusy = performance.eventLoopUtilization(this.#load).utilization > busyShare;
    if (nowMs < this.#heldUntilMs || this.#limit === maxExtra || isBusy || bytesPerSecond > enoughBytesPerSecond)
      return;
    this.#trial = { limit: this.#limit, bytesPerSecond };
    this.#limit = Math.min(maxExtra, 2 * this.#limit + 3);
    this.#isSettling = true;
  }
}

function once(change: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) change();
    isDone = true;
  };
}
