import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { chmod, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { BundleReader } from '../../src/bundle/bundle-reader.ts';
import { verifyBundle } from '../../src/bundle/verify-bundle.ts';
import { mediaTypes } from '../../src/content/media-types.ts';
import { archiveFiles, expectedFrames, framesOf, tarArchive } from '../support/bundle-archive.ts';
import {
  everyKind,
  expectSame,
  ofSize,
  type PlannedBundle,
  planBundle,
  smallBundle,
  writeBundle,
} from '../support/bundles.ts';
import { craftBundle } from '../support/crafted-bundle.ts';
import { expectError } from '../support/expect-error.ts';
import { blob, sha256 } from '../support/graphs.ts';
import { runProgram } from '../support/run-program.ts';
import { makeReadOnly, whyNoMount, withSmallDisk } from '../support/small-disk.ts';
import { describeReadableStoreContract } from '../support/store-contract.ts';
import { memoryFolder } from '../support/temporary-folder.ts';

let every: PlannedBundle;
let path: string;
let bundle: BundleReader;

beforeAll(async () => {
  every = await everyKind();
  path = await writeBundle(await memoryFolder(), every);
  bundle = await BundleReader.open(path);
});

afterAll(async () => {
  await bundle.close();
});

/** Opens a bundle, verifies all of it, and closes it. */
async function verifiedBlobs(opened: string): Promise<number> {
  const reader = await BundleReader.open(opened);
  try {
    const { failures, blobs } = await verifyBundle(reader);
    expect(failures).toEqual([]);
    return blobs;
  } finally {
    await reader.close();
  }
}

describeReadableStoreContract('a bundle', async ({ reference, root }) => {
  const reader = await BundleReader.open(
    await writeBundle(await memoryFolder(), await planBundle({ [reference]: root })),
  );
  return { store: reader, close: () => reader.close() };
});

describe('a bundle that is read', () => {
  it('tells its document, its id and its size', async () => {
    const digest = sha256(JSON.stringify(every.document));
    expect(bundle.document).toEqual(every.document);
    expect(bundle.digest).toBe(digest);
    expect(bundle.id).toBe(digest.slice(7, 23));
    expect(bundle.bytes).toBe((await stat(path)).size);
    expect(bundle.paths).toEqual([path]);
  });

  it('has every blob, and any range of it', async () => {
    for (const { descriptor, bytes } of every.contents) {
      expect(sha256(await buffer(await bundle.fetch(descriptor)))).toBe(descriptor.digest);
      const offset = fc.nat(bytes.byteLength);
      await fc.assert(
        fc.asyncProperty(offset, offset, async (one, other) => {
          const [start, end] = [Math.min(one, other), Math.max(one, other)];
          const range = await buffer(await bundle.fetch(descriptor, { range: { start, end } }));
          expect(sha256(range)).toBe(sha256(bytes.subarray(start, end)));
        }),
        { numRuns: 6 },
      );
    }
  });

  it('has the archive itself, any range of it, across its frames too', async () => {
    const files = archiveFiles(every.document, every.contents);
    const archive = tarArchive(files, every.document.sourceDateEpoch);
    const read = async (from: number, to: number): Promise<Buffer> => {
      const chunks: Buffer[] = [];
      for await (const chunk of bundle.readArchive(from, to - from)) chunks.push(chunk);
      return Buffer.concat(chunks);
    };
    expectSame(await read(0, archive.byteLength), archive);
    const borders = [0];
    for (const { content } of expectedFrames(every.document, files)) {
      borders.push((borders.at(-1) ?? 0) + content.byteLength);
    }
    expect(borders.at(-1)).toBe(archive.byteLength);
    for (const border of borders.slice(1, -1)) {
      for (const [from, to] of [
        [border - 1, border + 1],
        [border, border + 1],
        [border - 1, border],
        [border, border],
      ] as const) {
        expectSame(await read(from, to), archive.subarray(from, to));
      }
    }
    await expectError('FAILED', 'the archive ends before', () => read(archive.byteLength - 5, archive.byteLength + 1));
  });

  it.each([
    [-1, 5],
    [3, 2],
    [0, 512],
    [512, 512],
  ])('refuses the range %d to %d, which is not within a blob of 511 bytes', async (start, end) => {
    const { descriptor } = ofSize(every, 511);
    await expectError('FAILED', 'not within the 511 bytes', () => bundle.fetch(descriptor, { range: { start, end } }));
  });

  it('does not take a digest with another size for the blob', async () => {
    const { descriptor } = blob('');
    await expectError('NOT_FOUND', 'it has 0', () => bundle.fetch({ ...descriptor, size: 1 }));
  });

  it('resolves references in normal form, and the digests of images', async () => {
    for (const { reference, digest, mediaType, size } of every.document.images) {
      expect(await bundle.resolve(reference)).toEqual({ digest, mediaType, size });
      expect(await bundle.resolve(digest)).toEqual({ digest, mediaType, size });
    }
    await expectError('NOT_FOUND', "'docker.io/library/large:2'", () => bundle.resolve('docker.io/library/large:2'));
    await expectError('NOT_FOUND', bundle.id, () => bundle.resolve('large:1'));
  });

  it('resolves charts too', async () => {
    const { document, contents } = await smallBundle();
    const [image] = document.images;
    if (image === undefined) throw new Error('there is no image');
    const reference = 'registry.example.com/chart:1';
    const chart = { kind: 'chart', name: 'chart', version: '1', ...image, reference } as const;
    const withChart = { ...document, images: [], charts: [chart] };
    const reader = await BundleReader.open(await craftBundle(withChart, contents));
    expect((await reader.resolve(reference)).mediaType).toBe(mediaTypes.ociManifest);
    expect((await verifyBundle(reader)).failures).toEqual([]);
    await reader.close();
  });

  it('resolves to the image where a chart has the same reference', async () => {
    const { document, contents } = await smallBundle();
    const [image] = document.images;
    if (image === undefined) throw new Error('there is no image');
    const chart = { kind: 'chart', name: 'chart', version: '1', ...image, digest: sha256('chart') } as const;
    const reader = await BundleReader.open(await craftBundle({ ...document, charts: [chart] }, contents));
    expect((await reader.resolve(image.reference)).digest).toBe(image.digest);
    expect((await reader.resolve(chart.digest)).digest).toBe(chart.digest);
    await reader.close();
  });

  it('is read from parts, wherever they are cut', async () => {
    const { size } = await stat(path);
    for (const partBytes of [size - 1, Math.ceil(size / 3), 100_000]) {
      const folder = await memoryFolder();
      runProgram('split', [`--bytes=${partBytes}`, '--numeric-suffixes', path, `${basename(path)}_part`], {
        cwd: folder,
      });
      expect(await verifiedBlobs(folder)).toBe(every.contents.length);
      expect(await verifiedBlobs(join(folder, `${basename(path)}_part01`))).toBe(every.contents.length);
    }
  });

  it('is missed where its last parts are missing, which cannot be known from names', async () => {
    const folder = await memoryFolder();
    runProgram('split', ['--bytes=1000000', '--numeric-suffixes', path, `${basename(path)}_part`], { cwd: folder });
    const names = (await readdir(folder)).sort();
    const last = join(folder, names.at(-1) ?? '');
    await truncate(last, (await stat(last)).size - 1);
    await expectError('BUNDLE_PART_MISSING', basename(last), () => BundleReader.open(folder));
    for (const name of names.slice(1).reverse()) {
      runProgram('rm', [join(folder, name)]);
      const error = await expectError('BUNDLE_PART_MISSING', 'a part is missing', () => BundleReader.open(folder));
      expect(error.hint).toContain('Copy the last part again');
    }
  });

  it('is not mixed with the last part of another bundle', async () => {
    const folder = await memoryFolder();
    const other = await smallBundle();
    const otherPath = await writeBundle(await memoryFolder(), other);
    runProgram('split', ['--bytes=1000000', '--numeric-suffixes', path, `${basename(path)}_part`], { cwd: folder });
    const names = (await readdir(folder)).sort();
    await writeFile(join(folder, names.at(-1) ?? ''), (await readFile(otherPath)).subarray(-100_000));
    await expectError('BUNDLE_PART_MISSING', 'accounts for', () => BundleReader.open(folder));
  });

  it('is read without a trace in its folder, where neither may be written', async () => {
    const { contents } = await smallBundle();
    const own = await writeBundle(await memoryFolder(), await smallBundle());
    await chmod(own, 0o444);
    await chmod(dirname(own), 0o555);
    const before = await readFile(own);
    expect(await verifiedBlobs(own)).toBe(contents.length);
    expect((await readFile(own)).equals(before)).toBe(true);
    expect(await readdir(dirname(own))).toEqual([basename(own)]);
    await chmod(dirname(own), 0o755);
  });

  it.runIf(whyNoMount === undefined)(`is read from read-only media (${whyNoMount ?? 'a tmpfs'})`, async () => {
    await withSmallDisk(16 * 1024 * 1024, async (disk) => {
      const name = basename(path);
      execFileSync('split', ['--bytes=1000000', '--numeric-suffixes', path, `${name}_part`], { cwd: disk });
      makeReadOnly(disk);
      await expect(writeFile(join(disk, 'any'), '')).rejects.toThrow('EROFS');
      expect(await verifiedBlobs(disk)).toBe(every.contents.length);
    });
  });

  it('leaves no file open', async () => {
    const before = readdirSync('/proc/self/fd').length;
    const reader = await BundleReader.open(path);
    const stream = await reader.fetch(every.contents.at(-1)?.descriptor ?? blob('').descriptor);
    stream.destroy();
    await reader.close();
    await expectError('FILE_FAILED', path, async () => buffer(await reader.fetch(blob('small').descriptor)));
    const damaged = join(await memoryFolder(), 'damaged');
    await writeFile(damaged, (await readFile(path)).subarray(0, -1));
    await expectError('BUNDLE_INVALID', 'no seek table', () => BundleReader.open(damaged));
    expect(readdirSync('/proc/self/fd')).toHaveLength(before);
  });

  it('ends a stream at the frame that is damaged, and gives the rest', async () => {
    const large = ofSize(every, 2 * 1024 * 1024 + 12_345);
    const middle = large.bytes.subarray(1_500_000, 1_500_100);
    const number = expectedFrames(every.document, archiveFiles(every.document, every.contents)).findIndex(
      ({ content }) => content.includes(middle),
    );
    const file = await readFile(path);
    const start = framesOf(file)[number]?.start ?? 0;
    file.fill(0, start + 50, start + 200);
    const damaged = join(await memoryFolder(), 'damaged');
    await writeFile(damaged, file);
    const reader = await BundleReader.open(damaged);
    await expectError('BUNDLE_INVALID', large.descriptor.digest.slice(7), async () =>
      buffer(await reader.fetch(large.descriptor)),
    );
    for (const { descriptor } of every.contents) {
      if (descriptor.digest === large.descriptor.digest) continue;
      expect(sha256(await buffer(await reader.fetch(descriptor)))).toBe(descriptor.digest);
    }
    const untouched = await reader.fetch(large.descriptor, { range: { start: 0, end: 1_000_000 } });
    expect(sha256(await buffer(untouched))).toBe(sha256(large.bytes.subarray(0, 1_000_000)));
    await reader.close();
  });

  it('gives a frame that could not be read once as soon as it can be', async () => {
    const copy = join(await memoryFolder(), 'mended');
    const bytes = await readFile(path);
    const [, , frame] = framesOf(bytes).filter(({ content }) => content === 1024 * 1024);
    if (frame === undefined) throw new Error('there is no such frame');
    const damaged = Buffer.from(bytes);
    damaged.fill(0, frame.start + 50, frame.start + 200);
    await writeFile(copy, damaged);
    const reader = await BundleReader.open(copy);
    const outcomes = async (contents = every.contents): Promise<(string | undefined)[]> => {
      const read = contents.map(async ({ descriptor }) =>
        buffer(await reader.fetch(descriptor)).then(sha256, () => undefined),
      );
      return Promise.all(read);
    };
    const broken = every.contents[(await outcomes()).indexOf(undefined)];
    if (broken === undefined) throw new Error('all of them could be read');
    expect(await outcomes([broken])).toEqual([undefined]);
    await writeFile(copy, bytes);
    expect(await outcomes([broken])).toEqual([broken.descriptor.digest]);
    await reader.close();
  });
});
