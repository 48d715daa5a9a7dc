import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import type { Descriptor } from '../../src/content/descriptor.ts';
import type { ContentStore, FetchOptions, OperationOptions, PushOptions } from '../../src/content/store.ts';

/** What a test does to an operation before the store does it: it may wait, or fail. */
export interface Hooks {
  readonly beforeFetch?: (target: Descriptor) => Promise<void>;
  readonly beforePush?: (target: Descriptor) => Promise<void>;
}

/** Counts of what is under way at once; several stores may share one. */
export class Gauge {
  running = 0;
  most = 0;

  async run<T>(task: () => Promise<T>): Promise<T> {
    this.running += 1;
    this.most = Math.max(this.most, this.running);
    try {
      return await task();
    } finally {
      this.running -= 1;
    }
  }
}

/** A store that notes what is asked of it, and in which order it is done. */
export class RecordingStore implements ContentStore {
  readonly asked: string[] = [];
  readonly fetched: string[] = [];
  /** In the order in which they ended. */
  readonly pushed: string[] = [];
  readonly #store: ContentStore;
  readonly #gauge: Gauge;
  readonly #hooks: Hooks;

  constructor(store: ContentStore, hooks: Hooks = {}, gauge = new Gauge()) {
    this.#store = store;
    this.#hooks = hooks;
    this.#gauge = gauge;
  }

  exists(target: Descriptor, options?: OperationOptions): Promise<boolean> {
    this.asked.push(target.digest);
    return this.#gauge.run(() => this.#store.exists(target, options));
  }

  fetch(target: Descriptor, options?: FetchOptions): Promise<Readable> {
    this.fetched.push(target.digest);
    return this.#gauge.run(async () => {
      await this.#hooks.beforeFetch?.(target);
      return this.#store.fetch(target, options);
    });
  }

  push(expected: Descriptor, content: Readable, options?: PushOptions): Promise<void> {
    return this.#gauge.run(async () => {
      try {
        await sleep(1);
        await this.#hooks.beforePush?.(expected);
        await this.#store.push(expected, content, options);
        this.pushed.push(expected.digest);
      } finally {
        content.destroy();
      }
    });
  }
}
