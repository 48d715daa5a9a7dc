import { PassThrough, Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import type { Descriptor } from '../../src/content/descriptor.ts';
import type { FetchOptions, PushOptions, Resumable } from '../../src/content/store.ts';
import { Copier, type CopyEvent } from '../../src/copy/copier.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { blob, type Content, contentsOf, image, index, noise, pushAll, sampleGraphs } from '../support/graphs.ts';
import { readAll } from '../support/store-contract.ts';
import { Gauge, RecordingStore } from './recording-store.ts';

const digestOf = ({ descriptor }: Content): string => descriptor.digest;

async function storeOf(...roots: readonly Content[]): Promise<MemoryStore> {
  const store = new MemoryStore();
  await pushAll(store, ...roots);
  return store;
}

describe('a copier', () => {
  it.each(Object.entries(sampleGraphs()))('brings all of a graph, the children first: %s', async (_name, root) => {
    const source = await storeOf(root);
    const target = new RecordingStore(new MemoryStore());
    const graph = await new Copier().copyGraph(source, target, root.descriptor);
    const all = contentsOf(root);
    expect([...target.pushed].sort()).toEqual(all.map(digestOf).sort());
    for (const { descriptor, bytes, children } of all) {
      expect((await readAll(await target.fetch(descriptor))).equals(bytes)).toBe(true);
      const at = target.pushed.indexOf(descriptor.digest);
      for (const child of children) expect(target.pushed.indexOf(digestOf(child))).toBeLessThan(at);
    }
    expect(target.pushed.at(-1)).toBe(root.descriptor.digest);
    expect(graph.manifests.length + graph.blobs.length).toBe(all.length);
  });

  it.each([1, 2, 5])('has at most %d things under way, over all graphs that it copies', async (concurrency) => {
    const graphs = Array.from({ length: 6 }, (_, number) => Object.values(sampleGraphs(`graph ${number % 3}`))).flat();
    const gauge = new Gauge();
    const source = new RecordingStore(await storeOf(...graphs), {}, gauge);
    const target = new RecordingStore(new MemoryStore(), {}, gauge);
    const copier = new Copier({ concurrency });
    await Promise.all(graphs.map((root) => copier.copyGraph(source, target, root.descriptor)));
    for (const { descriptor } of contentsOf(...graphs)) expect(await target.exists(descriptor)).toBe(true);
    // The fetch of a transfer has ended when its push begins.
    expect(gauge.most).toBe(concurrency);
  });

  it('transfers once what several graphs ask for at the same time', async () => {
    const shared = blob(noise(100_000, 'shared'));
    const graphs = Array.from({ length: 8 }, (_, number) => image([shared, blob(`own ${number}`)]));
    const source = new RecordingStore(await storeOf(...graphs));
    const target = new RecordingStore(new MemoryStore());
    const events: CopyEvent[] = [];
    const copier = new Copier({ concurrency: 3, onEvent: (event) => events.push(event) });
    await Promise.all(graphs.map((root) => copier.copyGraph(source, target, root.descriptor)));
    expect(target.pushed.filter((digest) => digest === digestOf(shared))).toHaveLength(1);
    expect(source.fetched.filter((digest) => digest === digestOf(shared))).toHaveLength(1);
    const outcomes = events.flatMap((event) =>
      event.type === 'finished' && event.descriptor.digest === digestOf(shared) ? [event.outcome] : [],
    );
    expect(outcomes.sort()).toEqual(['copied', ...Array.from({ length: 7 }, () => 'present')]);
  });

  it('transfers to each target', async () => {
    const root = image([blob('layer')]);
    const source = await storeOf(root);
    const targets = [new MemoryStore(), new MemoryStore()];
    const copier = new Copier();
    await Promise.all(targets.map((target) => copier.copyGraph(source, target, root.descriptor)));
    for (const target of targets) expect(await target.exists(root.descriptor)).toBe(true);
  });

  it('fetches nothing that the target has', async () => {
    const [old, fresh] = [blob(noise(5000, 'old')), blob(noise(5000, 'new'))];
    const root = image([old, fresh]);
    const source = new RecordingStore(await storeOf(root));
    const target = new RecordingStore(await storeOf(old));
    await new Copier().copyGraph(source, target, root.descriptor);
    expect(source.fetched).not.toContain(digestOf(old));
    expect(target.pushed).not.toContain(digestOf(old));
    expect(target.pushed).toHaveLength(3);
  });

  it('does not look below a manifest that the target has, unless it is told to', async () => {
    const [child, other] = [image([blob('a')]), image([blob('b')])];
    const root = index([child, other]);
    const source = new RecordingStore(await storeOf(root));
    const target = new RecordingStore(await storeOf(child));
    const graph = await new Copier().copyGraph(source, target, root.descriptor);
    expect(target.asked).not.toContain(digestOf(contentsOf(child)[0] ?? child));
    expect(source.fetched).not.toContain(digestOf(child));
    expect(graph.manifests.map(({ descriptor }) => descriptor)).toEqual([other.descriptor, root.descriptor]);

    const again = await new Copier().copyGraph(source, target, root.descriptor);
    expect(again).toMatchObject({ root: root.descriptor, manifests: [], blobs: [] });
    const deep = await new Copier().copyGraph(source, target, root.descriptor, { deep: true });
    expect(deep.manifests.length + deep.blobs.length).toBe(contentsOf(root).length);
    for (const { descriptor } of contentsOf(root)) expect(target.asked).toContain(descriptor.digest);
  });

  it('repairs what is missing below a manifest that the target has, where it is told to', async () => {
    const layer = blob('lost');
    const root = image([layer]);
    const target = new MemoryStore();
    await target.push(root.descriptor, Readable.from([root.bytes]));
    await new Copier().copyGraph(await storeOf(root), target, root.descriptor, { deep: true });
    expect(await target.exists(layer.descriptor)).toBe(true);
  });

  it('leaves out a subject that the source does not have', async () => {
    const subject = image([blob('subject')]);
    const root = image([blob('signature')], { artifactType: 'application/vnd.example', subject });
    const source = new MemoryStore();
    for (const { descriptor, bytes } of [...root.children.filter((child) => child !== subject), root]) {
      await source.push(descriptor, Readable.from([bytes]));
    }
    const target = new MemoryStore();
    const graph = await new Copier().copyGraph(source, target, root.descriptor);
    expect(graph.absentSubjects).toEqual([subject.descriptor]);
    expect(await target.exists(root.descriptor)).toBe(true);
    expect(await target.exists(subject.descriptor)).toBe(false);
  });

  it('copies one content, and says how', async () => {
    const content = blob(noise(1000, 'one'));
    const [source, target] = [await storeOf(content), new MemoryStore()];
    expect(await new Copier().copyContent(source, target, content.descriptor)).toBe('copied');
    expect(await new Copier().copyContent(source, target, content.descriptor)).toBe('present');
  });

  it('copies a manifest alone where it is asked for it alone', async () => {
    const root = image([blob('layer')]);
    const target = new RecordingStore(new MemoryStore());
    expect(await new Copier().copyContent(await storeOf(root), target, root.descriptor)).toBe('copied');
    expect(target.pushed).toEqual([digestOf(root)]);
  });

  it('keeps content apart that is a manifest here and a blob there', async () => {
    const inner = image([]);
    const asBlob = { ...inner, descriptor: { ...inner.descriptor, mediaType: 'application/octet-stream' } };
    const root = index([inner, image([asBlob])]);
    const kinds: string[] = [];
    const registry = {
      exists: () => Promise.resolve(false),
      fetch: () => Promise.reject(new Error('nothing is fetched from the target')),
      push: async ({ digest, mediaType }: Descriptor, content: Readable) => {
        content.destroy();
        if (mediaType === 'application/octet-stream') await sleep(50);
        if (digest === digestOf(inner)) kinds.push(mediaType);
      },
    };
    await new Copier().copyGraph(await storeOf(root), registry, root.descriptor);
    expect(kinds.sort()).toEqual(['application/octet-stream', inner.descriptor.mediaType]);
  });
});

describe('the events of a copy', () => {
  it('are one start, all bytes, and one end for each content', async () => {
    const old = blob(noise(2000, 'old'));
    const root = index([image([blob(noise(700_000, 'large')), old]), image([blob(''), old])]);
    const events: CopyEvent[] = [];
    const copier = new Copier({ onEvent: (event) => events.push(event) });
    await copier.copyGraph(await storeOf(root), await storeOf(old), root.descriptor);
    for (const { descriptor } of contentsOf(root)) {
      const own = events.filter((event) => event.descriptor.digest === descriptor.digest);
      expect(own.at(0)?.type).toBe('started');
      expect(own.at(-1)?.type).toBe('finished');
      const isOld = descriptor.digest === digestOf(old);
      expect(own.at(-1)).toMatchObject({ outcome: isOld ? 'present' : 'copied' });
      const middle = own.slice(1, -1);
      expect(middle.every(({ type }) => type === 'progress')).toBe(true);
      expect(middle.reduce((sum, event) => sum + (event.type === 'progress' ? event.bytes : 0), 0)).toBe(
        isOld ? 0 : descriptor.size,
      );
    }
    expect(events.filter(({ type }) => type === 'progress').length).toBeGreaterThan(contentsOf(root).length - 2);
  });

  it('are told for a manifest that ends the descent', async () => {
    const root = image([blob('layer')]);
    const store = await storeOf(root);
    const events: CopyEvent[] = [];
    await new Copier({ onEvent: (event) => events.push(event) }).copyGraph(store, store, root.descriptor);
    expect(events).toEqual([
      { type: 'started', descriptor: root.descriptor },
      { type: 'finished', descriptor: root.descriptor, outcome: 'present' },
    ]);
  });

  it.each(['pipe', 'iterate', 'resume'])('do not disturb a target that reads by: %s', async (how) => {
    const content = blob(noise(300_000, how));
    const read: Buffer[] = [];
    const target = new MemoryStore();
    target.push = async (_expected, stream) => {
      await sleep(10);
      if (how === 'iterate') for await (const chunk of stream) read.push(chunk as Buffer);
      else {
        stream.on('data', (chunk: Buffer) => read.push(chunk));
        if (how === 'resume') stream.resume();
        else stream.pipe(new PassThrough()).resume();
        await new Promise((resolve) => stream.once('end', resolve));
      }
    };
    let bytes = 0;
    const onEvent = (event: CopyEvent): void => {
      if (event.type === 'progress') bytes += event.bytes;
    };
    await new Copier({ onEvent }).copyContent(await storeOf(content), target, content.descriptor);
    expect(Buffer.concat(read).equals(content.bytes)).toBe(true);
    expect(bytes).toBe(300_000);
  });
});

/** A memory store that has the first bytes of every blob from an interrupted push. */
class ResumingStore extends MemoryStore implements Resumable {
  readonly offsets: (number | undefined)[] = [];
  readonly #have: Buffer;

  constructor(have: Buffer) {
    super();
    this.#have = have;
  }

  resumeOffset(): Promise<number> {
    return Promise.resolve(this.#have.byteLength);
  }

  override async push(expected: Descriptor, content: Readable, options: PushOptions = {}): Promise<void> {
    this.offsets.push(options.offset);
    const rest = await readAll(content);
    await super.push(expected, Readable.from([Buffer.concat([this.#have, rest])]));
  }
}

describe('a target that has a part already', () => {
  const content = blob(noise(10_000, 'resume'));

  it.each([
    [1, [{ start: 1 }]],
    [9_999, [{ start: 9_999 }]],
    [10_000, []],
  ])('gets the rest, from byte %d on', async (offset, ranges) => {
    const asked: unknown[] = [];
    const source = await storeOf(content);
    const fetcher = {
      fetch: (target: Descriptor, options: FetchOptions = {}) => {
        asked.push(options.range);
        return source.fetch(target, options);
      },
    };
    const target = new ResumingStore(content.bytes.subarray(0, offset));
    expect(await new Copier().copyContent(fetcher, target, content.descriptor)).toBe('copied');
    expect(asked).toEqual(ranges);
    expect(target.offsets).toEqual([offset]);
    expect(await target.exists(content.descriptor)).toBe(true);
  });

  it('gets all where it has nothing', async () => {
    const target = new ResumingStore(Buffer.alloc(0));
    await new Copier().copyContent(await storeOf(content), target, content.descriptor);
    expect(target.offsets).toEqual([undefined]);
    expect(await target.exists(content.descriptor)).toBe(true);
  });
});
