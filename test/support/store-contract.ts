import { Readable } from 'node:stream';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { Descriptor } from '../../src/content/descriptor.ts';
import { mediaTypes } from '../../src/content/media-types.ts';
import {
  type ContentStore,
  isReferrers,
  type ReadOnlyContentStore,
  type Resolver,
  type Tagger,
} from '../../src/content/store.ts';
import { readContent } from '../../src/content/verify.ts';
import type { ErrorCode } from '../../src/errors.ts';
import { blob, type Content, contentsOf, image, index, noise, pushAll, sha256 } from './graphs.ts';

/** What a store has to hold before a suite reads it. */
export interface Prefill {
  /** The name under which `root` is to be resolved. */
  readonly reference: string;
  readonly root: Content;
  /** `root` and all below it, children first. */
  readonly contents: readonly Content[];
}

export type ReadableStore = ReadOnlyContentStore & Resolver;
export type WritableStore = ReadableStore & ContentStore & Tagger;

interface StoreUnderTest<S> {
  readonly store: S;
  readonly close?: () => Promise<void>;
}

export interface StoreContractOptions {
  /** The name that the suite resolves and, where it can, tags. Default: v1. */
  readonly reference?: string;
  /** Default: true. */
  readonly ranges?: boolean;
  /** Whether the list of referrers is kept. Default: where the store has it at all. */
  readonly referrers?: boolean;
  /** Whether `exists` compares the size as well. Default: true. */
  readonly comparesSizes?: boolean;
}

/** The contract of a store that can be written: `makeStore` gives an empty one. */
export function describeStoreContract(
  name: string,
  makeStore: () => Promise<StoreUnderTest<WritableStore>>,
  options: StoreContractOptions = {},
): void {
  describeReadableStoreContract(
    name,
    async ({ reference, root }) => {
      const made = await makeStore();
      await pushAll(made.store, root);
      await made.store.tag(root.descriptor, reference);
      return made;
    },
    options,
  );
  describeWriting(name, makeStore, options);
}

/** The contract of a store that is only read: `makeStore` gives one that holds what it is told. */
export function describeReadableStoreContract(
  name: string,
  makeStore: (prefill: Prefill) => Promise<StoreUnderTest<ReadableStore>>,
  options: StoreContractOptions = {},
): void {
  const { reference = 'v1', ranges = true, comparesSizes = true } = options;
  describe(`${name}, when it is read`, () => {
    const large = blob(noise(2_500_000, 'large'), mediaTypes.ociLayerGzip);
    const root = index([image([large, blob('a small layer', mediaTypes.ociLayer)]), image([large])]);
    const missing = blob('never pushed');
    let store: ReadableStore;
    let close: (() => Promise<void>) | undefined;

    beforeAll(async () => {
      const made = await makeStore({ reference, root, contents: contentsOf(root) });
      ({ store, close } = made);
    });
    afterAll(async () => close?.());

    it('has what was put there, and nothing else', async () => {
      for (const { descriptor } of contentsOf(root)) expect(await store.exists(descriptor)).toBe(true);
      expect(await store.exists(missing.descriptor)).toBe(false);
    });

    it.runIf(comparesSizes)('does not take content of another size for the content', async () => {
      expect(await store.exists({ ...large.descriptor, size: large.descriptor.size + 1 })).toBe(false);
    });

    it('gives back the bytes that were put there', async () => {
      for (const { descriptor, bytes } of contentsOf(root)) {
        expect(sha256(await readAll(await store.fetch(descriptor)))).toBe(sha256(bytes));
      }
    });

    it('streams several contents at once', async () => {
      const all = contentsOf(root);
      const read = await Promise.all(all.map(async ({ descriptor }) => readAll(await store.fetch(descriptor))));
      expect(read.map(sha256)).toEqual(all.map(({ bytes }) => sha256(bytes)));
    });

    it('says NOT_FOUND for content that it does not have', async () => {
      await expectCode('NOT_FOUND', async () => readAll(await store.fetch(missing.descriptor)));
    });

    it('resolves a name, and says NOT_FOUND for one that it does not have', async () => {
      expect(await store.resolve(reference)).toMatchObject(plain(root.descriptor));
      await expectCode('NOT_FOUND', () => store.resolve(reference.replace(/.$/, 'x')));
    });

    it('resolves the digest of a manifest', async () => {
      expect(await store.resolve(root.descriptor.digest)).toMatchObject(plain(root.descriptor));
      await expectCode('NOT_FOUND', () => store.resolve(missing.descriptor.digest));
    });

    it.runIf(ranges)('fetches any range', async () => {
      const { descriptor, bytes } = large;
      const size = bytes.byteLength;
      for (const [start, end] of [
        [0, 1],
        [0, size],
        [1, 1_000_000],
        [size - 1, size],
        [700_000, 700_000],
        [size, size],
      ] as const) {
        const read = await readAll(await store.fetch(descriptor, { range: { start, end } }));
        expect(sha256(read), `${start} to ${end}`).toBe(sha256(bytes.subarray(start, end)));
      }
      expect(sha256(await readAll(await store.fetch(descriptor, { range: { start: 2_000_000 } })))).toBe(
        sha256(bytes.subarray(2_000_000)),
      );
    });

    it('is not harmed by a stream that is left after its first bytes', async () => {
      const content = await store.fetch(large.descriptor);
      for await (const chunk of content) {
        expect(chunk).toBeInstanceOf(Uint8Array);
        break;
      }
      expect(content.destroyed).toBe(true);
      expect(await readContent(store, large.descriptor, { maxBytes: 3_000_000 })).toHaveLength(large.bytes.byteLength);
    });

    it('ends with ABORTED where the signal has been aborted already', async () => {
      const signal = AbortSignal.abort();
      await expectCode('ABORTED', async () => readAll(await store.fetch(large.descriptor, { signal })));
    });

    it('ends a stream with ABORTED when the signal is aborted in the middle', async () => {
      const controller = new AbortController();
      const content = await store.fetch(large.descriptor, { signal: controller.signal });
      await expectCode('ABORTED', async () => {
        for await (const chunk of content) {
          expect(chunk).toBeInstanceOf(Uint8Array);
          controller.abort();
        }
      });
    });
  });
}

function describeWriting(
  name: string,
  makeStore: () => Promise<StoreUnderTest<WritableStore>>,
  options: StoreContractOptions,
): void {
  const { reference = 'v1' } = options;
  describe(`${name}, when it is written`, () => {
    const layer = blob(noise(200_000, 'layer'), mediaTypes.ociLayerGzip);
    let store: WritableStore;
    let close: (() => Promise<void>) | undefined;

    beforeAll(async () => {
      ({ store, close } = await makeStore());
    });
    afterAll(async () => close?.());

    it('takes content in many small pieces', async () => {
      const { descriptor, bytes } = blob(noise(50_000, 'pieces'));
      const pieces = Array.from({ length: 500 }, (_, at) => bytes.subarray(at * 100, at * 100 + 100));
      await store.push(descriptor, Readable.from(pieces));
      expect(sha256(await readContent(store, descriptor))).toBe(sha256(bytes));
    });

    it('takes content of no bytes', async () => {
      const { descriptor } = blob('');
      await store.push(descriptor, Readable.from([]));
      expect(await store.exists(descriptor)).toBe(true);
      expect(await readAll(await store.fetch(descriptor))).toHaveLength(0);
    });

    it('takes the same content again, and destroys the stream', async () => {
      await store.push(layer.descriptor, Readable.from([layer.bytes]));
      const again = Readable.from([layer.bytes]);
      await store.push(layer.descriptor, again);
      expect(again.destroyed).toBe(true);
      expect(sha256(await readContent(store, layer.descriptor))).toBe(sha256(layer.bytes));
    });

    it('takes the same content several times at once', async () => {
      const { descriptor, bytes } = blob(noise(300_000, 'at once'));
      await Promise.all(Array.from({ length: 4 }, () => store.push(descriptor, Readable.from([bytes]))));
      expect(sha256(await readContent(store, descriptor))).toBe(descriptor.digest);
    });

    describe.each([
      ['too short', (bytes: Buffer) => bytes.subarray(1), 'SIZE_MISMATCH'],
      ['too long', (bytes: Buffer) => Buffer.concat([bytes, bytes]), 'SIZE_MISMATCH'],
      ['other', (bytes: Buffer) => Buffer.from(bytes).fill(0, 0, 5), 'DIGEST_MISMATCH'],
    ] as const)('given content that is %s than promised', (kind, change, code) => {
      it(`says ${code}, and shows nothing`, async () => {
        const { descriptor, bytes } = blob(noise(5_000, `wrong ${kind}`));
        const wrong = Readable.from([change(bytes)]);
        await expectCode(code, () => store.push(descriptor, wrong));
        expect(wrong.destroyed).toBe(true);
        expect(await store.exists(descriptor)).toBe(false);
        await store.push(descriptor, Readable.from([bytes]));
        expect(sha256(await readContent(store, descriptor))).toBe(sha256(bytes));
      });
    });

    it('passes on the failure of the content, and shows nothing', async () => {
      const { descriptor, bytes } = blob(noise(5_000, 'failing'));
      await expect(store.push(descriptor, failing(bytes.subarray(0, 100), 'the line is cut'))).rejects.toThrow(
        'the line is cut',
      );
      expect(await store.exists(descriptor)).toBe(false);
    });

    it('passes on the failure of content that has failed before it is read', async () => {
      const { descriptor } = blob(noise(5_000, 'failed'));
      const content = new Readable({ read: () => undefined });
      content.destroy(new Error('the line was cut'));
      await expect(store.push(descriptor, content)).rejects.toThrow('the line was cut');
      expect(await store.exists(descriptor)).toBe(false);
    });

    it('says TRANSFER_INCOMPLETE where the content is destroyed in the middle', async () => {
      const { descriptor, bytes } = blob(noise(5_000, 'destroyed'));
      const content = new Readable({ read: () => undefined });
      content.push(bytes.subarray(0, 100));
      setTimeout(() => content.destroy(), 20);
      await expectCode('TRANSFER_INCOMPLETE', () => store.push(descriptor, content));
      expect(await store.exists(descriptor)).toBe(false);
    });

    it('ends a push that hangs with ABORTED when the signal is aborted', async () => {
      const { descriptor, bytes } = blob(noise(5_000, 'hanging'));
      const content = new Readable({ read: () => undefined });
      content.push(bytes.subarray(0, 100));
      const controller = new AbortController();
      setTimeout(() => controller.abort(), 20);
      await expectCode('ABORTED', () => store.push(descriptor, content, { signal: controller.signal }));
      expect(content.destroyed).toBe(true);
      expect(await store.exists(descriptor)).toBe(false);
    });

    it('moves a name to other content', async () => {
      const [first, second] = [image([layer]), image([layer, blob('more')])];
      await pushAll(store, first, second);
      await store.tag(first.descriptor, reference);
      await store.tag(second.descriptor, reference);
      expect(await store.resolve(reference)).toMatchObject(plain(second.descriptor));
      expect(await store.resolve(first.descriptor.digest)).toMatchObject(plain(first.descriptor));
    });

    it('does not give a name to content that it does not have', async () => {
      await expectCode('NOT_FOUND', () => store.tag(image([blob('not here')]).descriptor, reference));
    });

    it.runIf(options.referrers ?? true)('lists what refers to content', async () => {
      if (!isReferrers(store)) throw new Error(`${name} cannot list referrers`);
      const subject = image([layer]);
      const annotations = { 'org.example.by': 'a test' };
      const signature = image([blob('signature')], {
        artifactType: 'application/vnd.example.sig',
        subject,
        annotations,
      });
      const attestation = index([], { artifactType: 'application/vnd.example.att', subject });
      await pushAll(store, signature, attestation);
      const found = [...(await store.referrers(subject.descriptor))].sort((a, b) => a.size - b.size);
      expect(found).toHaveLength(2);
      expect(found[0]).toMatchObject({
        ...plain(attestation.descriptor),
        artifactType: 'application/vnd.example.att',
      });
      expect(found[1]).toMatchObject({
        ...plain(signature.descriptor),
        artifactType: 'application/vnd.example.sig',
        annotations,
      });
      expect(await store.referrers(signature.descriptor)).toEqual([]);
    });
  });
}

export async function readAll(content: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of content) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

export async function expectCode(code: ErrorCode, task: () => Promise<unknown>): Promise<void> {
  await expect(task()).rejects.toMatchObject({ name: 'EdgeBundleError', code });
}

function plain({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size };
}

function failing(bytes: Buffer, message: string): Readable {
  return Readable.from(
    (function* () {
      yield bytes;
      throw new Error(message);
    })(),
  );
}
