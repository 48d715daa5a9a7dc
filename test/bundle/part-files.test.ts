import { copyFile, mkdir, open, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { partSuffix } from '../../src/bundle/find-parts.ts';
import { PartFiles } from '../../src/bundle/part-files.ts';
import { expectError } from '../support/expect-error.ts';
import { noise } from '../support/graphs.ts';
import { runProgram } from '../support/run-program.ts';
import { memoryFolder } from '../support/temporary-folder.ts';

const name = 'core-sample-0123456789abcdef.tar.zst';
const content = noise(10_000, 'parts');

/** A folder with `content`, as split cuts it into parts of 1000 bytes. */
async function splitFolder(bytes = content): Promise<string> {
  const folder = await memoryFolder();
  runProgram('split', ['--bytes=1000', '--numeric-suffixes', '-', `${name}_part`], { cwd: folder, input: bytes });
  return folder;
}

async function wholeOf(path: string): Promise<{ bytes: Buffer; names: string[] }> {
  const files = await PartFiles.open(path);
  try {
    return { bytes: await files.read(0, files.size), names: files.paths.map((each) => basename(each)) };
  } finally {
    await files.close();
  }
}

function openFiles(): number {
  return readdirSync('/proc/self/fd').length;
}

describe("a part's name", () => {
  it('is the one that split --numeric-suffixes gives, for 1000 parts', async () => {
    const folder = await memoryFolder();
    runProgram('split', ['--bytes=1', '--numeric-suffixes', '-', 'x_part'], { cwd: folder, input: Buffer.alloc(1000) });
    const names = Array.from({ length: 1000 }, (_, index) => `x${partSuffix(index)}`);
    expect(names).toEqual(readdirSync(folder).sort());
    expect([89, 90, 989, 990].map(partSuffix)).toEqual(['_part89', '_part9000', '_part9899', '_part990000']);
  });
});

describe('the parts of a file', () => {
  it('are found from the name before the suffix, from any part and from the folder', async () => {
    const folder = await splitFolder();
    for (const path of [join(folder, name), join(folder, `${name}_part00`), join(folder, `${name}_part07`), folder]) {
      const { bytes, names } = await wholeOf(path);
      expect(bytes.equals(content)).toBe(true);
      expect(names).toHaveLength(10);
      expect([names[0], names[9]]).toEqual([`${name}_part00`, `${name}_part09`]);
    }
  });

  it('are read as the one file that they were, in any range', async () => {
    const files = await PartFiles.open(await splitFolder());
    const offset = fc.oneof(
      fc.nat(content.byteLength),
      fc.nat(10).map((number) => number * 1000),
    );
    await fc.assert(
      fc.asyncProperty(offset, offset, async (one, other) => {
        const [from, to] = [Math.min(one, other), Math.max(one, other)];
        expect((await files.read(from, to - from)).equals(content.subarray(from, to))).toBe(true);
      }),
    );
    await expectError('BUNDLE_INVALID', 'cut short', () => files.read(9_999, 2));
    await expectError('BUNDLE_INVALID', 'cut short', () => files.read(20_000, 1));
    await files.close();
  });

  it('are in the order of split, more than 90 of them too', async () => {
    const bytes = noise(95_500, 'many parts');
    expect((await wholeOf(await splitFolder(bytes))).bytes.equals(bytes)).toBe(true);
  });

  it.each(['00', '04'])('are refused without part %s, which is named', async (missing) => {
    const folder = await splitFolder();
    await rm(join(folder, `${name}_part${missing}`));
    const error = await expectError('BUNDLE_PART_MISSING', `'${name}_part${missing}' is missing`, () =>
      PartFiles.open(join(folder, name)),
    );
    expect(error.message).toContain('9 parts');
    expect(error.hint).toContain('Copy the missing part');
  });

  it.each([
    ['the first', '00', 999],
    ['one in the middle', '05', 1],
    ['one in the middle, to nothing', '05', 0],
  ])('are refused where %s is cut short, which is named', async (_, number, size) => {
    const folder = await splitFolder();
    await truncate(join(folder, `${name}_part${number}`), size);
    await expectError('BUNDLE_INVALID', `_part${number}' has ${size} bytes; 1000 are expected`, () =>
      PartFiles.open(folder),
    );
  });

  it('are refused where the last is empty', async () => {
    const folder = await splitFolder();
    await truncate(join(folder, `${name}_part09`), 0);
    await expectError('BUNDLE_INVALID', `_part09' has 0 bytes; it cannot be empty`, () => PartFiles.open(folder));
  });

  it('are found among files of other names', async () => {
    const folder = await splitFolder();
    for (const other of [
      'README',
      `${name}.sha256`,
      `${name}_part00.sha256`,
      `${name}_partial`,
      `${name}_part`,
      'other_part00',
    ]) {
      await writeFile(join(folder, other), 'other');
    }
    expect((await wholeOf(folder)).bytes.equals(content)).toBe(true);
    expect((await wholeOf(join(folder, name))).names).toHaveLength(10);
  });

  it('are found under a name with a line end', async () => {
    const folder = await memoryFolder();
    await writeFile(join(folder, 'line\nend_part00'), content);
    expect((await wholeOf(join(folder, 'line\nend'))).bytes.equals(content)).toBe(true);
  });

  it('are passed over where the file is there unsplit', async () => {
    const folder = await splitFolder();
    await writeFile(join(folder, name), 'whole');
    expect((await wholeOf(folder)).bytes.toString()).toBe('whole');
    expect((await wholeOf(join(folder, `${name}_part00`))).bytes.equals(content)).toBe(true);
  });

  it('are closed again where one of them cannot be used', async () => {
    const folder = await splitFolder();
    await truncate(join(folder, `${name}_part05`), 1);
    const before = openFiles();
    for (let time = 0; time < 5; time += 1)
      await expectError('BUNDLE_INVALID', '_part05', () => PartFiles.open(folder));
    await rm(join(folder, `${name}_part05`));
    await symlink('nowhere', join(folder, `${name}_part05`));
    for (let time = 0; time < 5; time += 1)
      await expectError('FILE_FAILED', 'cannot read', () => PartFiles.open(folder));
    expect(openFiles()).toBe(before);
  });

  it('that end while they are read are reported', async () => {
    const folder = await splitFolder();
    const files = await PartFiles.open(folder);
    await truncate(join(folder, `${name}_part03`), 500);
    expect((await files.read(0, 3_000)).equals(content.subarray(0, 3_000))).toBe(true);
    await expectError('BUNDLE_INVALID', `_part03' is cut short`, () => files.read(0, 10_000));
    await files.close();
  });
});

describe('bytes that are overwritten', () => {
  it('are others in the parts that have them, which keep their sizes', async () => {
    const folder = await splitFolder();
    const files = await PartFiles.open(folder);
    const expected = Buffer.from(content);
    for (const [position, length] of [
      [0, 1],
      [999, 2],
      [1000, 1000],
      [2500, 3000],
      [7000, 0],
      [9_990, 10],
    ] as const) {
      const bytes = noise(length, `over ${position}`);
      await files.overwrite(position, bytes);
      bytes.copy(expected, position);
      expect((await wholeOf(folder)).bytes.equals(expected)).toBe(true);
    }
    await files.close();
    const sizes = await Promise.all(
      Array.from({ length: 10 }, async (_, part) => (await stat(join(folder, `${name}_part0${part}`))).size),
    );
    expect(sizes).toEqual(new Array(10).fill(1000));
  });

  it('are not written where they do not all fit', async () => {
    const folder = await splitFolder();
    const files = await PartFiles.open(folder);
    await expectError('BUNDLE_INVALID', 'cut short', () => files.overwrite(9_995, Buffer.alloc(6)));
    await files.close();
    expect((await wholeOf(folder)).bytes.equals(content)).toBe(true);
  });
});

describe('parts that lie within files', () => {
  it('are read as the one file that they were, under the names that they are given', async () => {
    const image = join(await memoryFolder(), 'image');
    await writeFile(
      image,
      Buffer.concat([noise(100, 'x'), content.subarray(0, 5000), noise(70, 'y'), content.subarray(5000)]),
    );
    const files = await PartFiles.ofExtents([
      { path: image, name: 'one', offset: 100, size: 5000 },
      { path: image, offset: 5170 },
    ]);
    expect(files.paths).toEqual(['one', image]);
    expect(files.size).toBe(content.byteLength);
    expect((await files.read(0, content.byteLength)).equals(content)).toBe(true);
    for (const [from, to] of [
      [4999, 5001],
      [5000, 5001],
      [4990, 5000],
      [9999, 10_000],
    ] as const) {
      expect((await files.read(from, to - from)).equals(content.subarray(from, to))).toBe(true);
    }
    await expectError('BUNDLE_INVALID', 'cut short', () => files.read(9_999, 2));
    await files.close();
    const before = openFiles();
    await expectError('FILE_FAILED', "cannot read the bundle 'one'", () =>
      PartFiles.ofExtents([
        { path: image, name: 'one', size: 10 },
        { path: `${image}.none`, size: 10 },
      ]),
    );
    expect(openFiles()).toBe(before);
  });

  it('are no bundle where the image ends before one of them', async () => {
    const image = join(await memoryFolder(), 'image');
    await writeFile(image, content);
    const files = await PartFiles.ofExtents([{ path: image, offset: 9_000, size: 2_000 }]);
    await expectError('BUNDLE_INVALID', `'${image}' is cut short`, () => files.read(0, 1_001));
    await files.close();
  });
});

describe('a bundle that is one file', () => {
  it('is read as it is, under any name', async () => {
    const folder = await memoryFolder();
    for (const other of [name, 'bundle', 'bundle.tar.zst.partial', 'x_part', 'x_part7', 'line\nend']) {
      await writeFile(join(folder, other), content);
      expect((await wholeOf(join(folder, other))).bytes.equals(content)).toBe(true);
    }
  });

  it('is found in its folder, and in a link to it', async () => {
    const folder = await memoryFolder();
    await writeFile(join(folder, name), content);
    await writeFile(join(folder, `${name}.lock`), '');
    await symlink(folder, `${folder}.link`);
    expect((await wholeOf(`${folder}.link`)).names).toEqual([name]);
    await rm(`${folder}.link`);
  });

  it('is not chosen among two, or where there is none', async () => {
    const folder = await memoryFolder();
    await expectError('FILE_FAILED', 'holds 0 bundles', () => PartFiles.open(folder));
    await writeFile(join(folder, name), content);
    await copyFile(join(folder, name), join(folder, 'core-other-00.tar.zst_part00'));
    const error = await expectError('FILE_FAILED', 'holds 2 bundles', () => PartFiles.open(folder));
    expect(error.hint).toContain('Name the bundle');
  });

  it('is missed with its path', async () => {
    const path = join(await memoryFolder(), 'nothing.tar.zst');
    await expectError('FILE_FAILED', `there is no bundle '${path}'`, () => PartFiles.open(path));
    await expectError('FILE_FAILED', 'there is no bundle', () => PartFiles.open(`${path}_part00`));
    await expectError('FILE_FAILED', 'cannot read', () => PartFiles.open(join(path, '..', 'x\0')));
  });

  it('is refused where a file is in the way of a folder, and a folder in the way of a part', async () => {
    const folder = await memoryFolder();
    await writeFile(join(folder, 'file'), '');
    await expectError('FILE_FAILED', 'cannot read', () => PartFiles.open(join(folder, 'file', name)));
    await mkdir(join(folder, `${name}_part00`));
    const files = await PartFiles.open(join(folder, name));
    await expectError('FILE_FAILED', `_part00' at byte 0`, () => files.read(0, 10));
    await files.close();
  });

  it('cannot be read any more when it is closed', async () => {
    const folder = await memoryFolder();
    await writeFile(join(folder, name), content);
    const files = await PartFiles.open(folder);
    await files.close();
    await expectError('FILE_FAILED', 'cannot read', () => files.read(0, 1));
  });

  it('of many gigabytes is read at its end at once', async () => {
    const path = join(await memoryFolder(), name);
    const file = await open(path, 'w');
    await file.write('the end', 20_000_000_000);
    await file.close();
    const files = await PartFiles.open(path);
    expect((await files.read(20_000_000_000, 7)).toString()).toBe('the end');
    await files.close();
  });
});
