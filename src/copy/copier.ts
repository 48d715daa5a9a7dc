import { setMaxListeners } from 'node:events';
import { Readable } from 'node:stream';

import pLimit, { type LimitFunction } from 'p-limit';

import type { Descriptor } from '../content/descriptor.ts';
import { collectGraph, type Graph, type ManifestNode } from '../content/graph.ts';
import { successors } from '../content/manifest.ts';
import { isManifest } from '../content/media-types.ts';
import {
  type ContentStore,
  type Fetcher,
  type FetchOptions,
  isMounter,
  isResumable,
  type Mounter,
} from '../content/store.ts';
import { type EdgeBundleError, isEdgeBundleError, throwIfAborted } from '../errors.ts';
import { Flights } from './flights.ts';

/** How content came to be in the target: by a transfer, by a mount, or because it was there already. */
export type CopyOutcome = 'copied' | 'mounted' | 'present';

/**
 * What happens to one content: it is started once and, unless the copy fails, finished once. `bytes` is what has come
 * from the source since the last event. Where it was damaged on its way, all of it is fetched once more, `restarted`.
 */
export type CopyEvent =
  | { readonly type: 'started'; readonly descriptor: Descriptor }
  | { readonly type: 'progress'; readonly descriptor: Descriptor; readonly bytes: number }
  | { readonly type: 'restarted'; readonly descriptor: Descriptor; readonly reason: EdgeBundleError }
  | { readonly type: 'finished'; readonly descriptor: Descriptor; readonly outcome: CopyOutcome };

export interface CopierOptions {
  /** How many requests and transfers are under way at once, over all that this copier copies. Default: 4. */
  readonly concurrency?: number | undefined;
  /** Is called while bytes pass: it returns soon and does not throw. */
  readonly onEvent?: ((event: CopyEvent) => void) | undefined;
  /** Aborting it ends every copy with an ABORTED error, as soon as nothing of that copy is under way any more. */
  readonly signal?: AbortSignal | undefined;
}

export interface CopyGraphOptions {
  /** Looks also below manifests that the target has. Default: false, since children are put there before their parents. */
  readonly deep?: boolean | undefined;
}

/** One content to bring into one target. */
interface Order {
  readonly source: Fetcher;
  readonly target: ContentStore;
  readonly descriptor: Descriptor;
  /** The target was asked already, and did not have it. */
  readonly isAbsent: boolean;
  /** Tells `started` the first time it is called. */
  readonly start: () => void;
}

/** The same content is being put there by somebody else: look again when that has ended, well or not. */
interface Wait {
  readonly until: Promise<void>;
}

/**
 * Copies content between stores. One copier is one limit, however many graphs are copied with it at once; what several of
 * them ask for is transferred once for each target, and once for all targets that can mount from each other.
 */
export class Copier {
  readonly #limit: LimitFunction;
  readonly #emit: ((event: CopyEvent) => void) | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #storeNumbers = new WeakMap<ContentStore, number>();
  #lastStoreNumber = 0;
  /** What is being put into one store. */
  readonly #arrivals = new Flights();
  /** What is being transferred into one of several stores that can mount from each other. */
  readonly #uploads = new Flights();
  /** What was put into one store: that it was absent before says nothing any more. */
  readonly #delivered = new Set<string>();
  /** A repository that has the content, for each mount scope and digest. */
  readonly #repositories = new Map<string, string>();

  constructor(options: CopierOptions = {}) {
    const { concurrency = 4, onEvent, signal } = options;
    this.#limit = pLimit(concurrency);
    this.#emit = onEvent;
    this.#signal = signal;
    // Each transfer listens more than once; Node.js would warn of a leak from 11 listeners on.
    if (signal !== undefined) setMaxListeners(0, signal);
  }

  /**
   * Copies one blob or one manifest, without what it points to.
   *
   * @throws EdgeBundleError ABORTED, and what the stores throw
   */
  async copyContent(source: Fetcher, target: ContentStore, descriptor: Descriptor): Promise<CopyOutcome> {
    return this.#deliver({ source, target, descriptor, isAbsent: false }, () => throwIfAborted(this.#signal));
  }

  /**
   * Copies all that is reachable from `root`; children before parents, the root last. After a failure, nothing new of this
   * graph is begun, and the error comes when what was under way has ended. A subject that the source does not have is
   * left out.
   *
   * @returns what had to be looked at: without what is below manifests that the target had, unless `deep`
   * @throws EdgeBundleError ABORTED, and what the stores and `collectGraph` throw
   */
  async copyGraph(
    source: Fetcher,
    target: ContentStore,
    root: Descriptor,
    options: CopyGraphOptions = {},
  ): Promise<Graph> {
    const signal = this.#signal;
    try {
      throwIfAborted(signal);
      const absent = new Set<string>();
      const isMissing = async (manifest: Descriptor): Promise<boolean> => {
        const isAbsent = await this.#isMissing(target, manifest);
        if (isAbsent) absent.add(contentName(manifest));
        return isAbsent;
      };
      const graph = await collectGraph(source, root, {
        signal,
        limit: (task) => this.#limit(task),
        descend: options.deep === true ? undefined : isMissing,
      });
      await this.#deliverGraph(source, target, graph, absent);
      return graph;
    } catch (error) {
      throwIfAborted(signal);
      throw error;
    }
  }

  /** Something else that is asked of the stores: it counts among what is under way, and so must not copy with this copier itself. */
  limited<T>(task: () => Promise<T>): Promise<T> {
    return this.#limit(task);
  }

  async #isMissing(target: ContentStore, descriptor: Descriptor): Promise<boolean> {
    const signal = this.#signal;
    const isThere = await this.#limit(() => {
      throwIfAborted(signal);
      return target.exists(descriptor, { signal });
    });
    if (isThere) {
      this.#emit?.({ type: 'started', descriptor });
      this.#emit?.({ type: 'finished', descriptor, outcome: 'present' });
    }
    return !isThere;
  }

  /** @param absent what the target was seen not to have, by content name */
  async #deliverGraph(source: Fetcher, target: ContentStore, graph: Graph, absent: ReadonlySet<string>): Promise<void> {
    let failure: { readonly error: unknown } | undefined;
    const ensureGoingOn = (): void => {
      if (failure !== undefined) throw failure.error;
      throwIfAborted(this.#signal);
    };
    /** Each content's arrival: none of them rejects. */
    const arrivals = new Map<string, Promise<void>>();
    const deliver = (from: Fetcher, descriptor: Descriptor, children: readonly Descriptor[]): void => {
      const arrival = Promise.all(children.flatMap((child) => arrivals.get(contentName(child)) ?? []))
        .then(() => {
          const isAbsent = absent.has(contentName(descriptor));
          return this.#deliver({ source: from, target, descriptor, isAbsent }, ensureGoingOn);
        })
        .then(
          () => undefined,
          (error: unknown) => {
            failure ??= { error };
          },
        );
      arrivals.set(contentName(descriptor), arrival);
    };
    for (const blob of graph.blobs) deliver(source, blob, []);
    for (const node of graph.manifests) deliver(new NodeFetcher(node), node.descriptor, successors(node.manifest));
    await Promise.all(arrivals.values());
    ensureGoingOn();
  }

  /** @param ensureGoingOn throws where the content is not wanted any more */
  async #deliver(content: Omit<Order, 'start'>, ensureGoingOn: () => void): Promise<CopyOutcome> {
    const { descriptor } = content;
    let isStarted = false;
    const start = (): void => {
      if (!isStarted) this.#emit?.({ type: 'started', descriptor });
      isStarted = true;
    };
    for (;;) {
      const outcome = await this.#limit(() => {
        ensureGoingOn();
        return this.#tryDeliver({ ...content, start });
      });
      if (typeof outcome === 'string') {
        this.#emit?.({ type: 'finished', descriptor, outcome });
        return outcome;
      }
      // Not in the limiter: a slot that waits for another one could wait for ever.
      await outcome.until;
    }
  }

  async #tryDeliver(order: Order): Promise<CopyOutcome | Wait> {
    const { target, descriptor } = order;
    const name = `${this.#storeNumber(target)} ${contentName(descriptor)}`;
    const until = this.#arrivals.get(name);
    if (until !== undefined) return { until };
    return this.#arrivals.run(name, async () => {
      const isKnown = order.isAbsent && !this.#delivered.has(name);
      const isThere = !isKnown && (await target.exists(descriptor, { signal: this.#signal }));
      if (isThere) order.start();
      if (isMounter(target) && !isManifest(descriptor.mediaType)) {
        return this.#mountOrTransfer(order, target, isThere);
      }
      if (isThere) return 'present';
      await this.#transfer(order);
      this.#delivered.add(name);
      return 'copied';
    });
  }

  async #mountOrTransfer(order: Order, target: Mounter, isThere: boolean): Promise<CopyOutcome | Wait> {
    const { descriptor } = order;
    const name = `${target.mountScope} ${descriptor.digest}`;
    const outcome = isThere ? 'present' : await this.#mount(order, target, this.#repositories.get(name));
    if (outcome === undefined) {
      const until = this.#uploads.get(name);
      if (until !== undefined) return { until };
      await this.#uploads.run(name, () => this.#transfer(order));
    }
    this.#repositories.set(name, target.repositoryName);
    return outcome ?? 'copied';
  }

  async #mount(order: Order, target: Mounter, from: string | undefined): Promise<'mounted' | undefined> {
    if (from === undefined) return undefined;
    order.start();
    return (await target.mount(order.descriptor, from, { signal: this.#signal })) ? 'mounted' : undefined;
  }

  async #transfer(order: Order): Promise<void> {
    const { descriptor } = order;
    order.start();
    try {
      await this.#fetchAndPush(order);
    } catch (reason) {
      // The target has dropped what it had of it. A proxy, a cache or a disk may have spoilt it this once.
      if (!isEdgeBundleError(reason, 'DIGEST_MISMATCH', 'SIZE_MISMATCH')) throw reason;
      throwIfAborted(this.#signal);
      this.#emit?.({ type: 'restarted', descriptor, reason });
      await this.#fetchAndPush(order);
    }
  }

  async #fetchAndPush({ source, target, descriptor }: Order): Promise<void> {
    const signal = this.#signal;
    const offset = isResumable(target) ? await target.resumeOffset(descriptor, { signal }) : 0;
    const isAllThere = offset > 0 && offset === descriptor.size;
    const range = offset === 0 ? undefined : { start: offset };
    const content = isAllThere ? Readable.from([]) : await source.fetch(descriptor, { signal, range });
    this.#watch(content, descriptor);
    await target.push(descriptor, content, { signal, offset: offset === 0 ? undefined : offset, isAbsent: true });
  }

  #watch(content: Readable, descriptor: Descriptor): void {
    // A source that fails before the target listens must not end the process; the target finds the failure.
    content.on('error', () => undefined);
    const emit = this.#emit;
    if (emit === undefined) return;
    // Paused first: a 'data' listener would start the flow, and the target does not read yet.
    content.pause();
    content.on('data', (chunk: Uint8Array) => emit({ type: 'progress', descriptor, bytes: chunk.byteLength }));
  }

  #storeNumber(store: ContentStore): number {
    const known = this.#storeNumbers.get(store);
    if (known !== undefined) return known;
    this.#lastStoreNumber += 1;
    this.#storeNumbers.set(store, this.#lastStoreNumber);
    return this.#lastStoreNumber;
  }
}

/** A registry keeps manifests apart from blobs: one may have the digest of the other. */
function contentName({ mediaType, digest }: Descriptor): string {
  return `${isManifest(mediaType) ? 'manifest' : 'blob'} ${digest}`;
}

/** The bytes that `collectGraph` has read and verified. */
class NodeFetcher implements Fetcher {
  readonly #node: ManifestNode;

  constructor(node: ManifestNode) {
    this.#node = node;
  }

  fetch(_target: Descriptor, { range }: FetchOptions = {}): Promise<Readable> {
    return Promise.resolve(Readable.from([this.#node.bytes.subarray(range?.start, range?.end)]));
  }
}
