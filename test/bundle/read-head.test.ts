import { open, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeAll, describe, expect, it } from 'vitest';
import { compress } from 'zstd-napi';

import type { BundleDocument } from '../../src/bundle/bundle-document.ts';
import { BundleReader } from '../../src/bundle/bundle-reader.ts';
import { archiveFiles, type ExpectedFrame, rawFrame, seekTable, ustarHeader } from '../support/bundle-archive.ts';
import { type PlannedBundle, smallBundle } from '../support/bundles.ts';
import { craftBundle, type CraftedSizes } from '../support/crafted-bundle.ts';
import { expectError } from '../support/expect-error.ts';
import { noise } from '../support/graphs.ts';
import { memoryFolder } from '../support/temporary-folder.ts';

let small: PlannedBundle;

beforeAll(async () => {
  small = await smallBundle();
});

async function refused(bundlePath: string, message: string): Promise<void> {
  await expectError('BUNDLE_INVALID', message, async () => (await BundleReader.open(bundlePath)).close());
}

/** Changes the archive's first frame. */
function inHead(change: (content: Buffer) => void): (frames: ExpectedFrame[]) => ExpectedFrame[] {
  return ([head, ...others]) => {
    if (head === undefined) throw new Error('there are no frames');
    const content = Buffer.from(head.content);
    change(content);
    return [{ ...head, content }, ...others];
  };
}

/** Writes the header's checksum anew, as somebody who changes it would. */
function withChecksum(header: Buffer): void {
  header.write(' '.repeat(8), 148, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')} \0`, 148, 'latin1');
}

describe('the start of a bundle', () => {
  it('is accepted as the format says', async () => {
    const bundle = await BundleReader.open(await craftBundle(small.document, small.contents));
    expect(bundle.document).toEqual(small.document);
    await bundle.close();
  });

  it.each(['oci-layout', 'index.json', 'bundle.json', 'bundle.json.sig'])(
    'is refused where %s has another name',
    async (name) => {
      for (const other of ['../evil', '/etc/evil', `./${name}`, '']) {
        const path = await craftBundle(small.document, small.contents, {
          file: (each) => (each.path === name ? { ...each, path: other } : each),
        });
        const isSigned = name === 'bundle.json.sig';
        await refused(path, isSigned ? `'${name}' is not as bundle.json implies` : `'${name}' is expected at byte`);
      }
    },
  );

  it.each([
    ['oci-layout', '{"imageLayoutVersion":"9.9.9"}'],
    ['oci-layout', '{}'],
    ['index.json', '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'],
  ])('is refused where %s does not say what bundle.json implies', async (name, text) => {
    const path = await craftBundle(small.document, small.contents, {
      file: (each) => (each.path === name ? { ...each, content: Buffer.from(text) } : each),
    });
    await refused(path, `'${name}' is not as bundle.json implies`);
  });

  it.each([
    ['a mode', 100, '000777 \0'],
    ['an owner', 108, '001000 \0'],
    ['a time', 136, '0000000001 \0'],
    ['the type of a link', 156, '2'],
    ['the name of a user', 265, 'root'],
    ['a second time', 476, '0000000001 \0'],
  ])('is refused where a header has %s of its own', async (_, offset, field) => {
    const path = await craftBundle(small.document, small.contents, {
      frames: inHead((content) => {
        content.write(field, offset, 'latin1');
        withChecksum(content.subarray(0, 512));
      }),
    });
    await refused(path, `'oci-layout'`);
  });

  it('is refused where anything but zeros is behind one of its files', async () => {
    const { document } = small;
    const files = archiveFiles(document, small.contents).slice(0, 3);
    let end = 0;
    for (const { path: name, content } of files) {
      end += 512 + content.byteLength;
      const next = Math.ceil(end / 512) * 512;
      expect(next).toBeGreaterThan(end);
      for (const at of new Set([end, next - 1])) {
        const path = await craftBundle(document, small.contents, {
          frames: inHead((head) => head.writeUInt8(1, at)),
        });
        await refused(path, `'${name}' is not as bundle.json implies`);
      }
      end = next;
    }
  });

  it.each([
    ['larger than anything', Buffer.from('77777777777\0', 'latin1')],
    ['larger than a reader holds', Buffer.from('0400000001 \0', 'latin1')],
    ['negative', Buffer.from('ff'.repeat(12), 'hex')],
    ['larger than exact numbers', Buffer.from(`80${'7f'.repeat(11)}`, 'hex')],
    ['no number', Buffer.from('81'.repeat(12), 'hex')],
    ['text', Buffer.from('hello world\0', 'latin1')],
    ['empty', Buffer.alloc(12)],
  ])('is refused where the size of a file is %s', async (_, size) => {
    const path = await craftBundle(small.document, small.contents, {
      frames: inHead((content) => {
        size.copy(content, 124);
        withChecksum(content.subarray(0, 512));
      }),
    });
    await refused(path, `'oci-layout' is expected at byte 0`);
  });

  it.each([
    ['oci-layout', 30],
    ['index.json', 32 * 1024 * 1024],
    ['bundle.json', 16 * 1024 * 1024],
  ])('is refused by the header of %s where it claims more than %d bytes, and read no further', async (name, most) => {
    const claiming = (size: number): Promise<string> =>
      craftBundle(small.document, small.contents, {
        frames: inHead((content) => {
          const at = content.indexOf(`${name}\0`, 0, 'latin1');
          content.write(`${size.toString(8).padStart(11, '0')}\0`, at + 124, 'latin1');
          withChecksum(content.subarray(at, at + 512));
        }),
      });
    const message = `'${name}' is expected at byte`;
    await refused(await claiming(most + 1), message);
    // As much is looked for in the frames that follow.
    const error = await expectError('BUNDLE_INVALID', '', async () => BundleReader.open(await claiming(most)));
    expect(error.message).not.toContain(message);
  });

  it('is refused where a checksum is wrong, or a file ends too early', async () => {
    const checksum = await craftBundle(small.document, small.contents, {
      frames: inHead((content) => content.write('7', 150)),
    });
    await refused(checksum, `'oci-layout' is expected`);
    const early = await craftBundle(small.document, small.contents, {
      frames: ([head, ...others]) => [
        { kind: 'zstd', content: head?.content.subarray(0, 1700) ?? Buffer.alloc(0) },
        ...others,
      ],
    });
    await refused(early, `'bundle.json' is expected`);
  });

  it.each([
    ['is malformed', (text: string) => text.replace('"name":"sample"', '"name":"../../x"'), "malformed at 'name'"],
    ['is in another form', (text: string) => `${text}\n`, 'not in the one form'],
    ['is cut short', (text: string) => text.slice(0, -1), 'not JSON'],
  ])('is refused where bundle.json %s', async (_, change, message) => {
    const path = await craftBundle(small.document, small.contents, {
      file: (each) =>
        each.path === 'bundle.json' ? { ...each, content: Buffer.from(change(each.content.toString())) } : each,
    });
    await refused(path, message);
  });
});

describe('a seek table that lies', () => {
  it.each<[string, (sizes: CraftedSizes[]) => CraftedSizes[], string]>([
    ['a frame that is not there', (sizes) => [...sizes, [0, 0]], 'it names 9 frames, bundle.json implies 8'],
    [
      'a frame less',
      (sizes) => [...sizes.slice(0, -2), sum(sizes.at(-2), sizes.at(-1))],
      'it names 7 frames, bundle.json implies 8',
    ],
    [
      'other content in a frame',
      (sizes) => withSizes(sizes, 3, ([compressed, content]) => [compressed, content + 1]),
      'frame 3 has',
    ],
    [
      'other content in the frame with the signatures',
      (sizes) => withSizes(sizes, 1, ([compressed]) => [compressed, 5]),
      'frame 1 has another size',
    ],
    [
      'a longer stored frame and a shorter one behind it',
      (sizes) =>
        withSizes(
          withSizes(sizes, 3, ([compressed, content]) => [compressed + 1, content]),
          4,
          ([compressed, content]) => [compressed - 1, content],
        ),
      'frame 3 has 1550 bytes, bundle.json implies 1549',
    ],
    [
      'a shorter stored frame and a longer one behind it',
      (sizes) =>
        withSizes(
          withSizes(sizes, 3, ([compressed, content]) => [compressed - 1, content]),
          4,
          ([compressed, content]) => [compressed + 1, content],
        ),
      'frame 3 has 1548 bytes, bundle.json implies 1549',
    ],
    [
      'nothing for a compressed frame and more for the one behind it',
      (sizes) => {
        const bytes = sizes[6]?.[0] ?? 0;
        return withSizes(
          withSizes(sizes, 6, ([, content]) => [0, content]),
          7,
          ([compressed, content]) => [compressed + bytes, content],
        );
      },
      'frame 6 has 0 bytes, bundle.json implies 1 to',
    ],
    [
      'more content in the first frame than its files have',
      (sizes) => withSizes(sizes, 0, ([compressed, content]) => [compressed, content + 512]),
      'bytes; expected',
    ],
    [
      'a longer frame with the signatures and a shorter one behind it',
      (sizes) =>
        withSizes(
          withSizes(sizes, 1, ([compressed, content]) => [compressed + 1, content]),
          2,
          ([compressed, content]) => [compressed - 1, content],
        ),
      'frame 1 has another size',
    ],
    ['an empty file', () => [[0, 0]], 'accounts for'],
    [
      'a first frame without content',
      (sizes) => withSizes(sizes, 0, ([compressed]) => [compressed, 0]),
      'ends before bundle.json',
    ],
    [
      'a first frame of other content',
      (sizes) => withSizes(sizes, 0, ([compressed, content]) => [compressed, content - 512]),
      'frame',
    ],
    [
      'a first frame of too much content',
      (sizes) => withSizes(sizes, 0, ([compressed]) => [compressed, 0xffffffff]),
      'frame 0 is too large',
    ],
  ])('is refused with %s', async (_, sizes, message) => {
    await refused(await craftBundle(small.document, small.contents, { sizes }), message);
  });

  it('is refused before anything is allocated, where it claims gigabytes that the file has', async () => {
    const path = await craftBundle(small.document, small.contents);
    const bytes = await readFile(path);
    const claims = [
      // The frame with the signatures and a compressed one, each made longer by holes.
      ['frame 1 has another size', 1],
      ['frame 2 has 4294967295 bytes', 2],
      ['frame 0 is too large', 0],
    ] as const;
    for (const [message, number] of claims) {
      const frames = sizesIn(bytes);
      const end = frames.reduce((total, [compressed]) => total + compressed, 0);
      const claimed = withSizes(frames, number, ([, content]) => [0xffffffff, content]);
      const added = 0xffffffff - (frames[number]?.[0] ?? 0);
      const sparse = join(await memoryFolder(), 'sparse.tar.zst');
      const handle = await open(sparse, 'w');
      await handle.write(bytes.subarray(0, end), 0, end, 0);
      const table = seekTable(claimed);
      await handle.write(table, 0, table.byteLength, end + added);
      await handle.close();
      const before = process.memoryUsage();
      await refused(sparse, message);
      const after = process.memoryUsage();
      expect(after.external - before.external).toBeLessThan(64 * 1024 * 1024);
      expect((await stat(sparse)).size).toBeGreaterThan(4_000_000_000);
    }
  });

  it('is refused where there is more in its first frame than its files', async () => {
    const path = await craftBundle(small.document, small.contents, {
      frames: ([head, ...others]) => [
        { kind: 'zstd', content: Buffer.concat([head?.content ?? Buffer.alloc(0), Buffer.alloc(512)]) },
        ...others,
      ],
    });
    await refused(path, 'something behind bundle.json in its frame');
  });

  it('is refused where a frame holds more than it says, without unpacking that', async () => {
    const bomb = compress(Buffer.alloc(600 * 1024 * 1024));
    expect(bomb.byteLength).toBeLessThan(1024 * 1024);
    const signatures = rawFrame(Buffer.alloc(16 * 1024));
    const table = seekTable([
      [bomb.byteLength, 1024 * 1024],
      [signatures.byteLength, 16 * 1024],
    ]);
    const path = join(await memoryFolder(), 'bomb.tar.zst');
    await writeFile(path, Buffer.concat([bomb, signatures, table]));
    await refused(path, 'damaged');
  });

  it('is refused where bundle.json implies more than any file has', async () => {
    const blobs: BundleDocument['blobs'] = small.document.blobs.map((each) => ({
      ...each,
      size: Number.MAX_SAFE_INTEGER,
    }));
    const document = { ...small.document, blobs };
    const path = await craftBundle(document, []);
    await expectError('UNSUPPORTED', 'at most 4194304', () => BundleReader.open(path));
  });
});

describe('a file that is no bundle', () => {
  it.each([
    ['empty', Buffer.alloc(0)],
    ['smaller than a seek table', Buffer.from('b1ea928f', 'hex')],
    ['a plain tar', Buffer.concat([ustarHeader('file', 0, 0), Buffer.alloc(1024)])],
    ['a plain tar.zst', Buffer.from(compress(Buffer.concat([ustarHeader('file', 0, 0), Buffer.alloc(1024)])))],
    ['noise', noise(10_000, 'no bundle')],
  ])('is refused where it is %s', async (_, bytes) => {
    const path = join(await memoryFolder(), 'file');
    await writeFile(path, bytes);
    await refused(path, 'no seek table at its end');
  });

  it.each([
    ['nothing but a seek table', seekTable([]), 'it ends before bundle.json'],
    ['a seek table without its frames', seekTable([[1000, 1000]]), 'accounts for'],
    ['a seekable zstd file of something else', seekable(noise(5000, 'seekable')), "'oci-layout' is expected at byte 0"],
    ['the end of a seek table', seekTable([[1, 1]]).subarray(-9), 'larger than the file'],
  ])('is refused where it is %s', async (_, bytes, message) => {
    const path = join(await memoryFolder(), 'file');
    await writeFile(path, bytes);
    await refused(path, message);
  });
});

function seekable(content: Buffer): Buffer {
  const frame = compress(content);
  return Buffer.concat([frame, seekTable([[frame.byteLength, content.byteLength]])]);
}

function sizesIn(bytes: Buffer): CraftedSizes[] {
  const count = bytes.readUInt32LE(bytes.byteLength - 9);
  const start = bytes.byteLength - 9 - count * 8;
  return Array.from({ length: count }, (_, number) => [
    bytes.readUInt32LE(start + number * 8),
    bytes.readUInt32LE(start + number * 8 + 4),
  ]);
}

function withSizes(
  sizes: CraftedSizes[],
  number: number,
  change: (sizes: CraftedSizes) => CraftedSizes,
): CraftedSizes[] {
  return sizes.map((each, at) => (at === number ? change(each) : each));
}

function sum(a: CraftedSizes | undefined, b: CraftedSizes | undefined): CraftedSizes {
  return [(a?.[0] ?? 0) + (b?.[0] ?? 0), (a?.[1] ?? 0) + (b?.[1] ?? 0)];
}
