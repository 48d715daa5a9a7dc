import { Readable } from 'node:stream';

import { describe, expect, it } from 'vitest';

import type { Fetcher, FetchOptions } from '../../src/content/store.ts';
import { Copier, type CopyEvent } from '../../src/copy/copier.ts';
import { EdgeBundleError } from '../../src/errors.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { blob, noise } from '../support/graphs.ts';
import { expectCode, readAll } from '../support/store-contract.ts';

const { descriptor, bytes } = blob(noise(200_000, 'damaged'));
const damaged = Buffer.concat([Buffer.from([1 + (bytes[0] ?? 0)]), bytes.subarray(1)]);

/** A source that gives these, one after the other. */
function giving(...contents: readonly Buffer[]): Fetcher & { readonly asked: (FetchOptions | undefined)[] } {
  const asked: (FetchOptions | undefined)[] = [];
  return {
    asked,
    fetch: (_target, options) => {
      asked.push(options);
      return Promise.resolve(Readable.from([contents[Math.min(asked.length, contents.length) - 1]]));
    },
  };
}

describe('content that is damaged on its way', () => {
  it.each([
    ['has another digest', damaged],
    ['is too short', bytes.subarray(1)],
    ['is too long', Buffer.concat([bytes, bytes])],
  ])('is fetched once more, from its first byte, where it %s', async (_how, wrong) => {
    const source = giving(wrong, bytes);
    const target = new MemoryStore();
    const events: CopyEvent[] = [];
    const copier = new Copier({ onEvent: (event) => events.push(event) });
    expect(await copier.copyContent(source, target, descriptor)).toBe('copied');
    expect((await readAll(await target.fetch(descriptor))).equals(bytes)).toBe(true);
    expect(source.asked.map((options) => options?.range)).toEqual([undefined, undefined]);
    const types = events.map(({ type }) => type).filter((type) => type !== 'progress');
    expect(types).toEqual(['started', 'restarted', 'finished']);
  });

  it('is an error where it is damaged again', async () => {
    const source = giving(damaged);
    await expectCode('DIGEST_MISMATCH', () => new Copier().copyContent(source, new MemoryStore(), descriptor));
    expect(source.asked).toHaveLength(2);
  });

  it('is not fetched again for another failure', async () => {
    let asked = 0;
    const source: Fetcher = {
      fetch: () => {
        asked += 1;
        return Promise.reject(new EdgeBundleError('TIMEOUT', 'too slow'));
      },
    };
    await expectCode('TIMEOUT', () => new Copier().copyContent(source, new MemoryStore(), descriptor));
    expect(asked).toBe(1);
  });
});
