import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';

import { describe, expect, it } from 'vitest';
import { compress } from 'zstd-napi';

import type { BundleDocument } from '../../src/bundle/bundle-document.ts';
import { BundleReader } from '../../src/bundle/bundle-reader.ts';
import { verifyBundle } from '../../src/bundle/verify-bundle.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { archiveFiles, expectedFrames, rawFrame, seekTable, tarFile } from '../support/bundle-archive.ts';
import { expectSame, planBundle, withWriter } from '../support/bundles.ts';
import { expectError } from '../support/expect-error.ts';
import { noise, sha256 } from '../support/graphs.ts';
import { memoryFolder } from '../support/temporary-folder.ts';

const mib = 1024 * 1024;
const piece = noise(4 * mib, 'repeated');

function repeated(pieces: number): Readable {
  return Readable.from(
    (function* () {
      for (let number = 0; number < pieces; number += 1) yield piece;
    })(),
    { objectMode: false },
  );
}

function documentOf(blobs: BundleDocument['blobs']): BundleDocument {
  return {
    formatVersion: 1,
    name: 'large',
    platforms: [],
    sourceDateEpoch: 0,
    profiles: [],
    images: [],
    charts: [],
    blobs,
  };
}

describe('a blob of 520 MiB', () => {
  it('is written in two frames, in little memory, and zstd, tar and the reader have its content', async () => {
    const pieces = 130;
    const size = pieces * piece.byteLength;
    const hash = createHash('sha256');
    for (let number = 0; number < pieces; number += 1) hash.update(piece);
    const digest = `sha256:${hash.digest('hex')}` as const;
    const planned = {
      ...(await planBundle({})),
      metadata: new MemoryStore(),
      document: documentOf([{ digest, size, storage: 'stored' }]),
    };
    const out = await memoryFolder();
    let peakBytes = 0;
    const watch = setInterval(() => (peakBytes = Math.max(peakBytes, process.memoryUsage().rss)), 10);
    const before = process.memoryUsage().rss;
    const descriptor = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest, size };
    const path = await withWriter(out, planned, async (writer) => {
      await writer.push(descriptor, repeated(pieces));
      return (await writer.commit()).path;
    });
    const bundle = await BundleReader.open(path);
    expect((await verifyBundle(bundle)).failures).toEqual([]);
    // Across the border of the two frames: a tar header is before the content.
    const border = 512 * mib - 512;
    const range = { start: border - 1000, end: border + 1000 };
    const at = range.start % piece.byteLength;
    const acrossBorder = await buffer(await bundle.fetch(descriptor, { range }));
    expectSame(acrossBorder, Buffer.concat([piece, piece]).subarray(at, at + 2000));
    await bundle.close();
    clearInterval(watch);
    expect(peakBytes - before).toBeLessThan(150 * mib);

    const blobFile = `blobs/sha256/${digest.slice(7)}`;
    const unpacked = `zstd -dc '${path}' | tar -xOf - ${blobFile} | openssl dgst -sha256`;
    expect(execFileSync('sh', ['-c', unpacked]).toString()).toContain(digest.slice(7));
    await rm(out, { recursive: true });
  });
});

describe('a bundle of 20 GB', () => {
  it('is opened without reading its blobs, and any place in it is read', async () => {
    // The blob is zeros: a file with holes, in which only the framing is written that is looked at.
    const size = 20_000_000_000;
    const digest = sha256('not the digest of 20 GB of zeros');
    const document = documentOf([{ digest, size, storage: 'stored' }]);
    const [block, cut] = [128 * 1024, 512 * mib];
    const frameBytes = 10 + cut + 4096 * 3;
    const entryBytes = 512 + size;
    const [head = Buffer.alloc(0), signatures = Buffer.alloc(0), end = Buffer.alloc(0)] = expectedFrames(
      document,
      archiveFiles(document, []),
    ).map(({ kind, content }) => (kind === 'stored' ? rawFrame(content) : compress(content)));
    const [start, lastBytes] = [head.byteLength + signatures.byteLength, entryBytes % cut];
    const lastFrameBytes = 10 + lastBytes + 3 * Math.ceil(lastBytes / block);
    const sizes: [number, number][] = [
      [head.byteLength, headBytes(document)],
      [signatures.byteLength, 16 * 1024],
    ];
    for (let left = entryBytes; left > cut; left -= cut) sizes.push([frameBytes, cut]);
    sizes.push([lastFrameBytes, lastBytes], [end.byteLength, 1024]);

    const path = join(await memoryFolder(), 'core-large.tar.zst');
    const handle = await open(path, 'w');
    await handle.write(Buffer.concat([head, signatures]));
    const stored = 37 * frameBytes + lastFrameBytes;
    await handle.write(Buffer.concat([end, seekTable(sizes)]), 0, null, start + stored);
    // The frame that holds byte 10,000,000,000 of the blob, and the block in which it is.
    const at = 10_000_000_000 + 512;
    const inFrame = at % cut;
    const blockAt = start + Math.floor(at / cut) * frameBytes + 10 + Math.floor(inFrame / block) * (block + 3);
    await handle.write(Buffer.from('000010', 'hex'), 0, 3, blockAt);
    await handle.close();

    const bundle = await BundleReader.open(path);
    const descriptor = { mediaType: 'application/octet-stream', digest, size };
    expect(bundle.bytes).toBeGreaterThan(size);
    const range = { start: 10_000_000_000, end: 10_000_001_000 };
    expectSame(await buffer(await bundle.fetch(descriptor, { range })), Buffer.alloc(1000));
    const elsewhere = { start: 15_000_000_000, end: 15_000_000_001 };
    await expectError('BUNDLE_INVALID', 'framing', async () =>
      buffer(await bundle.fetch(descriptor, { range: elsewhere })),
    );
    await bundle.close();
  });
});

function headBytes(document: BundleDocument): number {
  const files = archiveFiles(document, []).slice(0, 3);
  return files.reduce((sum, file) => sum + tarFile(file, 0).byteLength, 0);
}
