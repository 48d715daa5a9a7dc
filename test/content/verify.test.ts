import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { Descriptor } from '../../src/content/descriptor.ts';
import type { Fetcher } from '../../src/content/store.ts';
import { bytesOf, ContentVerifier, readContent, verified } from '../../src/content/verify.ts';
import { EdgeBundleError } from '../../src/errors.ts';
import { blob, noise } from '../support/graphs.ts';
import { expectCode, readAll } from '../support/store-contract.ts';

const { descriptor, bytes } = blob(noise(1000, 'verify'));

function giving(...chunks: readonly Buffer[]): Fetcher {
  return { fetch: () => Promise.resolve(Readable.from(chunks)) };
}

describe('a verifier', () => {
  it('takes the right bytes, however they are cut, and no others', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1 }), fc.nat(), fc.nat(), (content, cutAt, changeAt) => {
        const expected = blob(content).descriptor;
        const cut = cutAt % content.byteLength;
        const check = (all: Uint8Array): void => {
          const verifier = new ContentVerifier(expected);
          verifier.update(all.subarray(0, cut));
          verifier.update(all.subarray(cut));
          expect(verifier.bytes).toBe(all.byteLength);
          verifier.finish();
        };
        check(content);
        const changed = Buffer.from(content);
        const at = changeAt % content.byteLength;
        changed[at] = (changed[at] ?? 0) ^ 1;
        expect(() => check(changed)).toThrow(expect.objectContaining({ code: 'DIGEST_MISMATCH' }) as Error);
        expect(() => check(content.subarray(1))).toThrow(expect.objectContaining({ code: 'SIZE_MISMATCH' }) as Error);
      }),
    );
  });

  it('goes by the algorithm of the digest', async () => {
    const sha512 = (content: Buffer): Descriptor => ({
      ...descriptor,
      digest: `sha512:${createHash('sha512').update(content).digest('hex')}`,
    });
    expect(await readContent(giving(bytes), sha512(bytes))).toEqual(bytes);
    await expectCode('DIGEST_MISMATCH', () => readContent(giving(bytes), sha512(Buffer.alloc(1000))));
  });

  it('does not wait for the end where more comes than was promised', () => {
    const verifier = new ContentVerifier(descriptor);
    verifier.update(bytes);
    expect(() => verifier.update(Buffer.from('x'))).toThrow('expected 1000 bytes, more came');
  });

  it('passes right content on, and throws at the end of wrong content', async () => {
    expect(await readAll(Readable.from(verified(descriptor, Readable.from([bytes]))))).toEqual(bytes);
    const wrong = verified(descriptor, Readable.from([Buffer.alloc(1000)]));
    expect((await wrong.next()).value).toEqual(Buffer.alloc(1000));
    await expectCode('DIGEST_MISMATCH', () => wrong.next());
  });
});

describe('readContent', () => {
  it('gives the bytes', async () => {
    expect(await readContent(giving(bytes.subarray(0, 10), bytes.subarray(10)), descriptor)).toEqual(bytes);
  });

  it('refuses wrong content', async () => {
    await expectCode('SIZE_MISMATCH', () => readContent(giving(bytes.subarray(1)), descriptor));
    await expectCode('SIZE_MISMATCH', () => readContent(giving(bytes, bytes), descriptor));
    await expectCode('DIGEST_MISMATCH', () => readContent(giving(Buffer.alloc(1000)), descriptor));
  });

  it('fetches nothing that is too large for memory', async () => {
    const fetcher: Fetcher = { fetch: () => Promise.reject(new Error('it was fetched')) };
    const large = { ...descriptor, size: 4 * 1024 * 1024 + 1 };
    await expectCode('CONTENT_TOO_LARGE', () => readContent(fetcher, large));
    await expectCode('CONTENT_TOO_LARGE', () => readContent(fetcher, descriptor, { maxBytes: 999 }));
    expect(await readContent(giving(bytes), descriptor, { maxBytes: 1000 })).toEqual(bytes);
  });

  it('fetches once more what came damaged, and nothing that failed in another way', async () => {
    const given = [Buffer.alloc(1000), bytes];
    const damagedOnce: Fetcher = { fetch: () => Promise.resolve(Readable.from([given.shift() ?? Buffer.alloc(0)])) };
    expect(await readContent(damagedOnce, descriptor)).toEqual(bytes);
    let asked = 0;
    const absent: Fetcher = {
      fetch: () => {
        asked += 1;
        return Promise.reject(new EdgeBundleError('NOT_FOUND', 'it is not there'));
      },
    };
    await expectCode('NOT_FOUND', () => readContent(absent, descriptor));
    expect(asked).toBe(1);
  });

  it('stops reading content that does not end', async () => {
    let reads = 0;
    const given: Readable[] = [];
    const fetch = (): Promise<Readable> => {
      const endless = new Readable({
        read() {
          reads += 1;
          this.push(Buffer.alloc(1000));
        },
      });
      given.push(endless);
      return Promise.resolve(endless);
    };
    await expectCode('SIZE_MISMATCH', () => readContent({ fetch }, descriptor));
    expect(given.every(({ destroyed }) => destroyed)).toBe(true);
    expect(given, 'what does not match is fetched once more, and not again').toHaveLength(2);
    expect(reads).toBeLessThan(100);
  });
});

describe('bytesOf', () => {
  it('ends with ABORTED where the content hangs, and destroys it', async () => {
    const content = new Readable({ read: () => undefined });
    await expectCode('ABORTED', () => readAll(Readable.from(bytesOf(content, AbortSignal.timeout(20)))));
    expect(content.destroyed).toBe(true);
  });

  it('ends with ABORTED where the signal was aborted before', async () => {
    const content = Readable.from([bytes]);
    await expectCode('ABORTED', () => readAll(Readable.from(bytesOf(content, AbortSignal.abort()))));
    expect(content.destroyed).toBe(true);
  });

  it('says TRANSFER_INCOMPLETE where the content is destroyed before its end', async () => {
    const content = new Readable({ read: () => undefined });
    content.push(bytes);
    setTimeout(() => content.destroy(), 20);
    await expectCode('TRANSFER_INCOMPLETE', () => readAll(Readable.from(bytesOf(content))));
  });

  it('passes on what the content fails with', async () => {
    const content = new Readable({ read: () => undefined });
    setTimeout(() => content.destroy(new Error('the line is cut')), 20);
    await expect(readAll(Readable.from(bytesOf(content)))).rejects.toThrow('the line is cut');
  });

  it('destroys the content where the loop is left', async () => {
    const content = Readable.from([bytes, bytes]);
    for await (const chunk of bytesOf(content)) {
      expect(chunk).toEqual(bytes);
      break;
    }
    expect(content.destroyed).toBe(true);
  });
});
