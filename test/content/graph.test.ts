import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

import fc from 'fast-check';
import pLimit from 'p-limit';
import { describe, expect, it } from 'vitest';

import type { Descriptor } from '../../src/content/descriptor.ts';
import { collectGraph, type Graph } from '../../src/content/graph.ts';
import type { Fetcher } from '../../src/content/store.ts';
import { EdgeBundleError } from '../../src/errors.ts';
import { failureOf } from '../support/expect-error.ts';
import { arbitraryGraph, blob, type Content, contentsOf, image, index, sampleGraphs } from '../support/graphs.ts';
import { expectCode } from '../support/store-contract.ts';

/** A source of only these contents, which notes what was asked of it. */
class Source implements Fetcher {
  readonly fetched: string[] = [];
  running = 0;
  mostRunning = 0;
  readonly #contents: ReadonlyMap<string, Buffer>;

  constructor(contents: readonly Content[]) {
    this.#contents = new Map(contents.map(({ descriptor, bytes }) => [descriptor.digest, bytes]));
  }

  async fetch({ digest }: Descriptor): Promise<Readable> {
    this.fetched.push(digest);
    this.running += 1;
    this.mostRunning = Math.max(this.mostRunning, this.running);
    await sleep(1);
    this.running -= 1;
    const bytes = this.#contents.get(digest);
    if (bytes === undefined) throw new EdgeBundleError('NOT_FOUND', `no ${digest}`);
    return Readable.from([bytes]);
  }
}

const isManifest = ({ descriptor }: Content): boolean => /manifest|index/.test(descriptor.mediaType);
const digests = (descriptors: readonly Descriptor[]): string[] => descriptors.map(({ digest }) => digest);

function expectWhole(graph: Graph, root: Content): void {
  const all = contentsOf(root);
  const manifests = graph.manifests.map(({ descriptor }) => descriptor);
  expect(new Set(digests(manifests))).toEqual(
    new Set(digests(all.filter(isManifest).map(({ descriptor }) => descriptor))),
  );
  expect(new Set(digests(graph.blobs))).toEqual(
    new Set(digests(all.filter((content) => !isManifest(content)).map(({ descriptor }) => descriptor))),
  );
  expect(manifests).toHaveLength(new Set(digests(manifests)).size);
  expect(graph.blobs).toHaveLength(new Set(digests(graph.blobs)).size);
  expect(manifests.at(-1)?.digest).toBe(root.descriptor.digest);
  for (const { descriptor, children } of all.filter(isManifest)) {
    const at = digests(manifests).indexOf(descriptor.digest);
    for (const child of children.filter(isManifest)) {
      expect(digests(manifests).indexOf(child.descriptor.digest)).toBeLessThan(at);
    }
  }
}

describe('a graph', () => {
  it.each(Object.entries(sampleGraphs()))('has all that is reachable, children first: %s', async (_name, root) => {
    const source = new Source(contentsOf(root));
    const graph = await collectGraph(source, root.descriptor);
    expectWhole(graph, root);
    expect(graph.absentSubjects).toEqual([]);
    expect(source.fetched, 'no blob, and no manifest twice').toHaveLength(graph.manifests.length);
    expect(source.mostRunning, 'one at a time, where nothing else is said').toBe(1);
  });

  it('of any shape has all that is reachable, children first', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryGraph(), fc.integer({ min: 1, max: 8 }), async (root, concurrency) => {
        const source = new Source(contentsOf(root));
        const limit = pLimit(concurrency);
        const graph = await collectGraph(source, root.descriptor, { limit: (task) => limit(task) });
        expectWhole(graph, root);
        expect(source.mostRunning).toBeLessThanOrEqual(concurrency);
      }),
      { numRuns: 40 },
    );
  });

  it('names blobs in the order of the manifests', async () => {
    const [a, b, c] = [blob('a'), blob('b'), blob('c')];
    const root = index([image([b, a]), image([a, c, b])]);
    const { blobs } = await collectGraph(new Source(contentsOf(root)), root.descriptor);
    const layers = new Set(digests([a, b, c].map(({ descriptor }) => descriptor)));
    expect(digests(blobs).filter((digest) => layers.has(digest as Descriptor['digest']))).toEqual(
      digests([b, a, c].map(({ descriptor }) => descriptor)),
    );
  });

  it('does without a subject that is not there', async () => {
    const subject = image([blob('subject')]);
    const root = image([blob('signature')], { artifactType: 'application/vnd.example', subject });
    const present = contentsOf(root).filter((content) => !contentsOf(subject).includes(content));
    const graph = await collectGraph(new Source(present), root.descriptor);
    expect(graph.absentSubjects).toEqual([subject.descriptor]);
    expect(graph.manifests.map(({ descriptor }) => descriptor)).toEqual([root.descriptor]);
    expect(graph.blobs).toHaveLength(2);
  });

  it('does not do without a child that is not there, even if it is a subject too', async () => {
    const child = image([blob('child')]);
    for (const root of [index([child]), index([child], { subject: child })]) {
      await expectCode('NOT_FOUND', () => collectGraph(new Source([root]), root.descriptor));
    }
  });

  it('leaves out what is not descended into', async () => {
    const [kept, left] = [image([blob('kept')]), image([blob('left')])];
    const root = index([kept, left]);
    const graph = await collectGraph(new Source(contentsOf(root)), root.descriptor, {
      descend: ({ digest }) => Promise.resolve(digest !== left.descriptor.digest),
    });
    expect(graph.manifests.map(({ descriptor }) => descriptor)).toEqual([kept.descriptor, root.descriptor]);
    expect(digests(graph.blobs)).toEqual(digests(kept.children.map(({ descriptor }) => descriptor)));
  });

  it('is refused where it is nested too deep', async () => {
    let root = image([]);
    for (let depth = 0; depth < 16; depth += 1) root = index([root]);
    expect((await collectGraph(new Source(contentsOf(root)), root.descriptor)).manifests).toHaveLength(17);
    const deeper = index([root]);
    await expectCode('CONTENT_INVALID', () => collectGraph(new Source(contentsOf(deeper)), deeper.descriptor));
  });

  it('is read once, however often an index names each of its children', async () => {
    let root = image([blob('twice, and twice of that')]);
    for (let depth = 0; depth < 16; depth += 1) root = index([root, root]);
    const source = new Source(contentsOf(root));
    expect((await collectGraph(source, root.descriptor)).manifests).toHaveLength(17);
    expect(source.fetched).toHaveLength(17);
  });

  it('does not do without a subject that is there and damaged', async () => {
    const subject = image([blob('subject')]);
    const root = image([blob('signature')], { artifactType: 'application/vnd.example', subject });
    const source = new Source([root, { ...subject, bytes: root.bytes.subarray(0, subject.bytes.byteLength) }]);
    const { code } = await failureOf(collectGraph(source, root.descriptor));
    expect(['DIGEST_MISMATCH', 'SIZE_MISMATCH']).toContain(code);
  });

  it('has a manifest for its root, and nothing else is fetched', async () => {
    const root = blob('a blob');
    const source = new Source([root]);
    await expectCode('UNSUPPORTED', () => collectGraph(source, root.descriptor));
    expect(source.fetched).toEqual([]);
  });

  it('is not built from a manifest that is not the one asked for', async () => {
    const [root, other] = [image([blob('a')]), image([blob('b')])];
    const liar = new Source([{ ...root, bytes: other.bytes }]);
    await expectCode('DIGEST_MISMATCH', () => collectGraph(liar, root.descriptor));
  });

  it('fails only when nothing of it is under way any more', async () => {
    const root = index([image([blob('a')]), image([blob('b')]), image([blob('c')])]);
    const source = new Source([root]);
    await expectCode('NOT_FOUND', () => collectGraph(source, root.descriptor, { limit: (task) => task() }));
    expect(source.running).toBe(0);
    expect(source.fetched).toHaveLength(4);
  });
});
