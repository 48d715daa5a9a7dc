import { open, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeAll, describe, expect, it } from 'vitest';

import { BundleReader } from '../../src/bundle/bundle-reader.ts';
import { PartFiles } from '../../src/bundle/part-files.ts';
import { verifyBundle } from '../../src/bundle/verify-bundle.ts';
import { mediaTypes } from '../../src/content/media-types.ts';
import { EdgeBundleError, isEdgeBundleError } from '../../src/errors.ts';
import { archiveFiles, framesOf, seekTable, tarArchive } from '../support/bundle-archive.ts';
import {
  everyKind,
  expectSame,
  type PlannedBundle,
  planBundle,
  smallBundle,
  text,
  writeBundle,
} from '../support/bundles.ts';
import { craftBundle } from '../support/crafted-bundle.ts';
import { expectError } from '../support/expect-error.ts';
import { blob, image, noise, sha256 } from '../support/graphs.ts';
import { runProgram } from '../support/run-program.ts';
import { memoryFolder } from '../support/temporary-folder.ts';

let small: PlannedBundle;
let path: string;
let file: Buffer;

beforeAll(async () => {
  small = await smallBundle();
  path = await writeBundle(await memoryFolder(), small);
  file = await readFile(path);
});

/** What is wrong with a bundle, found when it is opened or when it is verified. Other errors than ours fail the test. */
async function failuresOf(bundlePath: string): Promise<readonly EdgeBundleError[]> {
  let bundle: BundleReader;
  try {
    bundle = await BundleReader.open(bundlePath);
  } catch (error) {
    if (isEdgeBundleError(error, 'BUNDLE_INVALID', 'SIGNATURE_INVALID', 'UNSUPPORTED')) return [error];
    throw error;
  }
  try {
    return (await verifyBundle(bundle)).failures;
  } finally {
    await bundle.close();
  }
}

async function failuresOfBytes(bytes: Buffer): Promise<readonly EdgeBundleError[]> {
  const changed = join(await memoryFolder(), 'changed.tar.zst');
  await writeFile(changed, bytes);
  return failuresOf(changed);
}

/** Some of the numbers below `end`, the same ones in every run. */
function someBelow(end: number, count: number): number[] {
  const random = noise(count * 4, `positions below ${end}`);
  return Array.from({ length: count }, (_, number) => random.readUInt32LE(number * 4) % end);
}

describe('a bundle that is verified', () => {
  it('is good as it was written, and says what it holds', async () => {
    const bundle = await BundleReader.open(path);
    let bytes = 0;
    const onProgress = (more: number): void => void (bytes += more);
    const total = small.document.blobs.reduce((sum, { size }) => sum + size, 0);
    expect(await verifyBundle(bundle, { onProgress })).toEqual({
      images: 1,
      charts: 0,
      blobs: 6,
      bytes: total,
      failures: [],
    });
    // Manifests are read once more for the graphs; that is not counted.
    expect(bytes).toBe(total);
    await bundle.close();
  });

  it('of every kind of blob is good', async () => {
    expect(await failuresOf(await writeBundle(await memoryFolder(), await everyKind()))).toEqual([]);
  });

  it('ends in the middle of a blob when it is aborted', async () => {
    const bundle = await BundleReader.open(path);
    const controller = new AbortController();
    let bytes = 0;
    const onProgress = (more: number): void => {
      bytes += more;
      if (bytes > 10_000) controller.abort();
    };
    await expectError('ABORTED', 'interrupted', () => verifyBundle(bundle, { signal: controller.signal, onProgress }));
    expect(bytes).toBeLessThan(10_000 + 140_000);
    await bundle.close();
  });

  it('ends in the middle of a large blob when it is aborted there', async () => {
    const large = image([blob(noise(3_000_000, 'large'), mediaTypes.ociLayerGzip)]);
    const bundle = await BundleReader.open(
      await writeBundle(await memoryFolder(), await planBundle({ 'docker.io/library/large:1': large })),
    );
    const controller = new AbortController();
    let bytes = 0;
    const onProgress = (more: number): void => {
      bytes += more;
      if (bytes > 1_000_000) controller.abort();
    };
    await expectError('ABORTED', 'interrupted', () => verifyBundle(bundle, { signal: controller.signal, onProgress }));
    expect(bytes).toBeLessThan(1_500_000);
    await bundle.close();
  });
});

describe('a bundle that changes after it was opened', () => {
  it('is found by a verification, its metadata and its signatures too', async () => {
    for (const [number, names] of [
      [0, ['oci-layout', 'index.json', 'bundle.json']],
      [1, ['bundle.json.sig']],
    ] as const) {
      const copy = join(await memoryFolder(), 'core-copy.tar.zst');
      await writeFile(copy, file);
      const bundle = await BundleReader.open(copy);
      const changed = Buffer.from(file);
      changed.fill('x', (framesOf(file)[number]?.start ?? 0) + 30, (framesOf(file)[number]?.start ?? 0) + 60);
      await writeFile(copy, changed);
      const { failures } = await verifyBundle(bundle);
      await bundle.close();
      expect(failures.map(({ code }) => code)).toEqual(names.map(() => 'BUNDLE_INVALID'));
      if (number === 1) expect(failures[0]?.message).toBe('bundle.json.sig in the bundle is damaged');
    }
  });

  it('and cannot be read any more is an error of the medium, and no verdict', async () => {
    const bundle = await BundleReader.open(path);
    await bundle.close();
    await expectError('FILE_FAILED', 'cannot read', () => verifyBundle(bundle));
  });

  it('and cannot be read where a layer is, is none either: the manifests need not be at the same place', async () => {
    const files = await PartFiles.open(path);
    const { start = 0 } = framesOf(file)[3] ?? {};
    const read = files.read.bind(files);
    const end = framesOf(file).at(-1)?.start ?? 0;
    files.read = (position, length) =>
      position < start || position >= end
        ? read(position, length)
        : Promise.reject(new EdgeBundleError('FILE_FAILED', `cannot read '${path}' at byte ${position}: EIO`));
    const bundle = await BundleReader.read(files);
    await expectError('FILE_FAILED', 'EIO', () => verifyBundle(bundle));
    await bundle.close();
  });
});

describe('a changed byte', () => {
  it('is found wherever it is, unless zstd makes the same archive of it', async () => {
    const layers = [
      blob(noise(100, 'one block'), mediaTypes.ociLayerGzip),
      blob(noise(131_000, 'two blocks'), mediaTypes.ociLayerGzip),
      blob(text(256 * 1024 + 1), mediaTypes.ociLayer),
    ];
    const planned = await planBundle({ 'docker.io/library/app:1.0': image(layers) });
    const whole = tarArchive(archiveFiles(planned.document, planned.contents), 0);
    const changed = await writeBundle(await memoryFolder(), planned);
    const bytes = await readFile(changed);

    const frames = framesOf(bytes);
    const tableStart = frames.reduce((sum, { compressed }) => sum + compressed, 0);
    const positions = new Set<number>();
    for (const [number, { start, compressed }] of frames.entries()) {
      const isMetadata = number === 0 || number === 2;
      const all = Array.from({ length: compressed }, (_, at) => at);
      for (const at of isMetadata
        ? all
        : [...all.slice(0, number === 1 ? 800 : 16), ...someBelow(compressed, 12), compressed - 1]) {
        positions.add(start + at);
      }
    }
    for (let at = tableStart; at < bytes.byteLength; at += 1) positions.add(at);

    const handle = await open(changed, 'r+');
    let found = 0;
    for (const position of positions) {
      const byte = bytes.readUInt8(position);
      await handle.write(Buffer.from([byte ^ (1 << (position % 8))]), 0, 1, position);
      const failures = await failuresOf(changed);
      if (failures.length === 0) expectSame(runProgram('zstd', ['-dc', changed]), whole);
      else found += 1;
      await handle.write(Buffer.from([byte]), 0, 1, position);
    }
    await handle.close();
    expect(await failuresOf(changed)).toEqual([]);
    expect(found).toBeGreaterThan(positions.size * 0.98);
  });

  it('in the content of a blob is said to be there', async () => {
    const stored = framesOf(file)[4];
    const bytes = Buffer.from(file);
    bytes.fill('x', (stored?.start ?? 0) + 1000, (stored?.start ?? 0) + 1010);
    const failures = await failuresOfBytes(bytes);
    expect(failures).toHaveLength(1);
    expect(failures[0]?.code).toBe('DIGEST_MISMATCH');
    expect(failures[0]?.message).toContain(small.stored[1]?.descriptor.digest);
  });

  it('in several blobs is reported for each, in one run', async () => {
    const bytes = Buffer.from(file);
    for (const frame of framesOf(file).slice(3, 7)) bytes.fill('x', frame.start + 30, frame.start + 40);
    expect(await failuresOfBytes(bytes)).toHaveLength(4);
  });
});

describe('a bundle that lost or got bytes', () => {
  it('is refused when it is opened, wherever it is cut', async () => {
    const changed = join(await memoryFolder(), 'changed.tar.zst');
    const borders = framesOf(file).flatMap(({ start }) => [start, start + 1]);
    for (const size of [...new Set([...borders, ...someBelow(file.byteLength, 40), file.byteLength - 1])].sort(
      (a, b) => b - a,
    )) {
      await writeFile(changed, file);
      await truncate(changed, size);
      await expectError('BUNDLE_INVALID', 'no seek table', () => BundleReader.open(changed));
    }
  });

  it.each([
    ['a byte', Buffer.from('x')],
    ['zeros', Buffer.alloc(4096)],
    ['another archive', Buffer.from('28b52ffd0000010000', 'hex')],
  ])('is refused with %s behind its end', async (_, more) => {
    const failures = await failuresOfBytes(Buffer.concat([file, more]));
    expect(failures[0]?.message).toContain('no seek table');
  });

  it('is refused with something before its seek table, or a second one', async () => {
    const frames = framesOf(file);
    const tableStart = frames.reduce((sum, { compressed }) => sum + compressed, 0);
    const [data, table] = [file.subarray(0, tableStart), file.subarray(tableStart)];
    for (const bytes of [Buffer.concat([data, Buffer.from('x'), table]), Buffer.concat([file, table]), table]) {
      const [failure] = await failuresOfBytes(bytes);
      expect(failure?.message).toMatch(/accounts for|ends before bundle.json/);
    }
  });

  it('is refused where two of its frames have changed places', async () => {
    const frames = framesOf(file);
    const pieces = frames.map(({ start, compressed }) => file.subarray(start, start + compressed));
    for (let number = 0; number + 1 < frames.length; number += 1) {
      const order = frames.map((_, at) => (at === number ? number + 1 : at === number + 1 ? number : at));
      const sizes = order.map((at) => [frames[at]?.compressed ?? 0, frames[at]?.content ?? 0] as const);
      const swapped = [...order.map((at) => pieces[at] ?? Buffer.alloc(0)), seekTable(sizes)];
      expect(await failuresOfBytes(Buffer.concat(swapped)), `frame ${number}`).not.toEqual([]);
    }
  });
});

describe('an archive that was made to do harm', () => {
  const evil = ['../evil', '/etc/evil', '../../../../tmp/evil', `blobs/sha256/${'0'.repeat(64)}`, 'bundle.json'];

  it.each(evil)('is found where a blob is at %s instead', async (name) => {
    for (const { digest } of small.document.blobs) {
      const crafted = await craftBundle(small.document, small.contents, {
        file: (each) => (each.path.endsWith(digest.slice(7)) ? { ...each, path: name } : each),
      });
      const failures = await failuresOf(crafted);
      expect(failures).toHaveLength(1);
      expect(failures[0]).toMatchObject({ code: 'BUNDLE_INVALID' });
      expect(failures[0]?.message).toContain(`the header of blobs/sha256/${digest.slice(7)}`);
    }
  });

  it('is found where a link stands for a blob', async () => {
    const crafted = await craftBundle(small.document, small.contents, {
      frames: (frames) =>
        frames.map((frame, number) => {
          if (frame.kind !== 'stored' || number === 1) return frame;
          const content = Buffer.from(frame.content);
          content.write('2/etc/passwd', 156);
          return { ...frame, content };
        }),
    });
    expect((await failuresOf(crafted)).map(({ code }) => code)).toEqual(['BUNDLE_INVALID', 'BUNDLE_INVALID']);
  });

  it('is found where something else than zeros is in the padding, or behind the last blob', async () => {
    const padding = await craftBundle(small.document, small.contents, {
      frames: (frames) =>
        frames.map((frame, number) => {
          const content = Buffer.from(frame.content);
          if (frame.kind === 'stored' && number !== 1) content.write('hidden', content.byteLength - 6);
          return { ...frame, content };
        }),
    });
    expect(await failuresOf(padding)).toHaveLength(2);
    const end = await craftBundle(small.document, small.contents, {
      frames: (frames) => [...frames.slice(0, -1), { kind: 'zstd', content: Buffer.alloc(1024, 'x') }],
    });
    const failures = await failuresOf(end);
    expect(failures).toHaveLength(1);
    expect(failures[0]?.message).toContain('the end of the archive');
  });

  it('is found where a blob has the size of its entry and another content', async () => {
    const [target] = small.stored;
    if (target === undefined) throw new Error('there is no blob');
    const crafted = await craftBundle(small.document, small.contents, {
      file: (each) =>
        each.path.endsWith(target.descriptor.digest.slice(7)) ? { ...each, content: noise(1000, 'other') } : each,
    });
    expect((await failuresOf(crafted)).map(({ code }) => code)).toEqual(['DIGEST_MISMATCH']);
  });

  it('is found where something else than signatures stands in their place', async () => {
    const bytes = Buffer.from(file);
    bytes.write('not a signature', (framesOf(file)[1]?.start ?? 0) + 1000);
    const failures = await failuresOfBytes(bytes);
    expect(failures.map(({ code }) => code)).toEqual(['SIGNATURE_INVALID']);
    expect(failures[0]?.message).toContain('signatures are damaged');
  });
});

describe('a bundle whose images lack something', () => {
  it('is found, with the image and the blob', async () => {
    const { document, contents } = small;
    const [missing] = small.stored;
    if (missing === undefined) throw new Error('there is no blob');
    const isKept = (digest: string): boolean => digest !== missing.descriptor.digest;
    const crafted = await craftBundle(
      { ...document, blobs: document.blobs.filter(({ digest }) => isKept(digest)) },
      contents.filter(({ descriptor }) => isKept(descriptor.digest)),
    );
    const failures = await failuresOf(crafted);
    expect(failures.map(({ code }) => code)).toEqual(['CONTENT_MISSING']);
    expect(failures[0]?.message).toContain(`docker.io/library/app:1.0 needs ${missing.descriptor.digest}`);
  });

  it('is found where the image itself is not there, or is no image', async () => {
    const { document, contents } = small;
    const [image] = document.images;
    if (image === undefined) throw new Error('there is no image');
    const absent = { ...document, images: [{ ...image, digest: sha256('absent') }] };
    expect((await failuresOf(await craftBundle(absent, contents))).map(({ code }) => code)).toEqual(['NOT_FOUND']);
    const note = blob('this is no manifest');
    const wrong = {
      ...document,
      images: [{ ...image, digest: note.descriptor.digest, size: note.descriptor.size }],
      blobs: [{ digest: note.descriptor.digest, size: note.descriptor.size, storage: 'zstd' as const }],
    };
    expect((await failuresOf(await craftBundle(wrong, [note]))).map(({ code }) => code)).toEqual(['CONTENT_INVALID']);
  });
});
