import { mkdir } from 'node:fs/promises';

import pLimit, { type LimitFunction } from 'p-limit';

import { fileError } from '../files/file-error.ts';
import { maxTimerMs } from './answer-clock.ts';
import { ProtocolError } from './protocol-error.ts';
import { UploadSession } from './upload-session.ts';

export interface UploadSessionsOptions {
  readonly folder: string;
  /** How many uploads may be open at once. */
  readonly maxSessions: number;
  /** An upload that nobody touches for this long is removed; in milliseconds. */
  readonly idleMs: number;
  /** One that is older is ended and removed, whatever its client does; in milliseconds. */
  readonly maxMs: number;
  /** Told of a file that could not be removed. */
  readonly onError: (error: unknown) => void;
}

/** A client that comes back, once or twice, before we saw that its connection broke. */
const maxWaiting = 4;

interface Entry {
  readonly session: UploadSession;
  readonly oneAtATime: LimitFunction;
  timer: NodeJS.Timeout | undefined;
  /** On the clock of performance.now(). */
  readonly endsMs: number;
}

/** The uploads that are open: found by their id, one request at a time each, removed when nobody goes on. */
export class UploadSessions {
  readonly #options: UploadSessionsOptions;
  readonly #entries = new Map<string, Entry>();

  constructor(options: UploadSessionsOptions) {
    this.#options = options;
  }

  /** @throws ProtocolError 429 where too many are open */
  async start(repository: string): Promise<UploadSession> {
    const { folder, maxSessions, maxMs } = this.#options;
    if (this.#entries.size >= maxSessions) {
      throw new ProtocolError(429, 'TOOMANYREQUESTS', `${maxSessions} uploads are open; no more are taken`, {
        headers: { 'retry-after': '5' },
      });
    }
    const session = new UploadSession(repository, folder);
    const entry: Entry = { session, oneAtATime: pLimit(1), timer: undefined, endsMs: performance.now() + maxMs };
    this.#entries.set(session.id, entry);
    this.#startTimer(entry);
    await mkdir(folder, { recursive: true }).catch((error: unknown) => {
      throw fileError(error, 'cannot make the folder for uploads');
    });
    return session;
  }

  /**
   * Gives the session to `task` alone, and removes it where it is not open afterwards. A client whose connection broke
   * may be back before its last request has ended here; so the task waits for that, and finds all that came.
   *
   * @param end makes the task end: called when the upload's time is over
   * @throws ProtocolError 404; 429 where too many wait
   */
  async use<T>(
    { repository, id }: Pick<UploadSession, 'repository' | 'id'>,
    end: () => void,
    task: (session: UploadSession) => T | Promise<T>,
  ): Promise<T> {
    const entry = this.#find(repository, id);
    if (entry.oneAtATime.pendingCount >= maxWaiting) {
      throw new ProtocolError(429, 'TOOMANYREQUESTS', 'other requests are at work on this upload', {
        headers: { 'retry-after': '5' },
      });
    }
    return entry.oneAtATime(async () => {
      const { session } = this.#find(repository, id);
      clearTimeout(entry.timer);
      const timer = setTimeout(end, Math.min(Math.max(0, entry.endsMs - performance.now()), maxTimerMs));
      try {
        return await task(session);
      } finally {
        clearTimeout(timer);
        if (session.isOpen && performance.now() < entry.endsMs) this.#startTimer(entry);
        else await this.#remove(entry);
      }
    });
  }

  /** Removes all. Call it when no request is at work. */
  async close(): Promise<void> {
    for (const entry of [...this.#entries.values()]) await this.#remove(entry);
  }

  #find(repository: string, id: string): Entry {
    const entry = this.#entries.get(id);
    if (entry?.session.repository === repository) return entry;
    throw new ProtocolError(404, 'BLOB_UPLOAD_UNKNOWN', 'there is no such upload: it ended, or nobody went on with it');
  }

  #startTimer(entry: Entry): void {
    const leftMs = Math.max(0, entry.endsMs - performance.now());
    entry.timer = setTimeout(() => void this.#remove(entry), Math.min(this.#options.idleMs, leftMs));
    entry.timer.unref();
  }

  async #remove(entry: Entry): Promise<void> {
    clearTimeout(entry.timer);
    this.#entries.delete(entry.session.id);
    await entry.session.discard().catch(this.#options.onError);
  }
}
