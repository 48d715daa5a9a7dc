import { generateKeyPairSync } from 'node:crypto';
import { copyFile, cp, open, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { beforeAll, describe, expect, it } from 'vitest';

import { BundleReader } from '../../src/bundle/bundle-reader.ts';
import { PartFiles } from '../../src/bundle/part-files.ts';
import { verifyBundle } from '../../src/bundle/verify-bundle.ts';
import { verifyOpenParts, verifyParts } from '../../src/bundle/verify-parts.ts';
import { writeParts } from '../../src/bundle/write-parts.ts';
import { EdgeBundleError } from '../../src/errors.ts';
import { signBundle } from '../../src/trust/sign-bundle.ts';
import { readSigner } from '../../src/trust/signer.ts';
import {
  everyKind,
  finishBundle,
  planBundle,
  type PlannedBundle,
  pushMissing,
  pushRest,
  writeBundle,
  writerOptions,
} from '../support/bundles.ts';
import { BundleWriter } from '../../src/bundle/bundle-writer.ts';
import { framesOf } from '../support/bundle-archive.ts';
import { gnuSplit } from '../support/cut-bundle.ts';
import { expectError } from '../support/expect-error.ts';
import { blob, image, noise } from '../support/graphs.ts';
import { runProgram } from '../support/run-program.ts';
import { whyNoMount, withSmallDisk } from '../support/small-disk.ts';
import { memoryFolder } from '../support/temporary-folder.ts';

const partBytes = 500_000;

let planned: PlannedBundle;
let path: string;
let bytes: Buffer;
/** Another bundle, whose parts have the same sizes and numbers. */
let otherPath: string;

beforeAll(async () => {
  planned = await everyKind();
  path = await writeBundle(await memoryFolder(), planned);
  bytes = await readFile(path);
  const layers = ['one', 'two'].map((name) =>
    blob(noise(1_900_000, name), 'application/vnd.oci.image.layer.v1.tar+gzip'),
  );
  otherPath = await writeBundle(await memoryFolder(), await planBundle({ 'docker.io/library/other:1': image(layers) }));
});

/** A copy of the bundle's parts with their list. @returns their paths before `_part00` */
async function partsOf(source = path): Promise<string> {
  const folder = await memoryFolder();
  await writeParts(source, { partBytes, out: folder });
  return join(folder, basename(source));
}

async function flip(file: string, position: number): Promise<void> {
  const handle = await open(file, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, position);
  await handle.write(Buffer.from([byte.readUInt8() ^ 1]), 0, 1, position);
  await handle.close();
}

describe('parts', () => {
  it('are those that GNU split makes, and their list has the sums of sha256sum', async () => {
    const base = await partsOf();
    const split = await gnuSplit(path, partBytes);
    const expected = (await readdir(dirname(split))).sort();
    expect(expected.length).toBeGreaterThan(5);
    expect((await readdir(dirname(base))).sort()).toEqual([...expected, `${basename(path)}.parts.json`].sort());
    for (const name of expected) {
      expect((await readFile(join(dirname(base), name))).equals(await readFile(join(dirname(split), name)))).toBe(true);
    }
    const list = JSON.parse(await readFile(`${base}.parts.json`, 'utf8')) as {
      size: number;
      id: string;
      parts: { name: string; sha256: string }[];
    };
    const sums = runProgram('sha256sum', expected, { cwd: dirname(split) }).toString();
    expect(list.parts.map(({ name, sha256 }) => `${sha256}  ${name}\n`).join('')).toBe(sums);
    expect(list.size).toBe(bytes.byteLength);
    expect(basename(path)).toContain(list.id);
    expect(runProgram('sh', ['-c', `cat "$1"_part*`, '-', base]).equals(bytes)).toBe(true);
  });

  it('are named and ordered as split does, beyond 89 of them too', async () => {
    const small = Math.floor(bytes.byteLength / 95);
    const folder = await memoryFolder();
    const { paths } = await writeParts(path, { partBytes: small, out: folder });
    const split = await gnuSplit(path, small);
    expect(paths.map((each) => basename(each))).toEqual((await readdir(dirname(split))).sort());
    expect(paths.length).toBeGreaterThan(90);
    expect(runProgram('sh', ['-c', `cat "$1"_part*`, '-', join(folder, basename(path))]).equals(bytes)).toBe(true);
    expect(await verifyParts(folder)).toEqual({ parts: paths.length, bytes: bytes.byteLength, hasChecksums: true });
  });

  it('are verified with every byte, and read as the bundle', async () => {
    const base = await partsOf();
    let hashed = 0;
    const result = await verifyParts(base, { onProgress: (count) => (hashed += count) });
    expect(result).toEqual({
      parts: Math.ceil(bytes.byteLength / partBytes),
      bytes: bytes.byteLength,
      hasChecksums: true,
    });
    expect(hashed).toBe(bytes.byteLength);
    const bundle = await BundleReader.open(base);
    expect((await verifyBundle(bundle)).failures).toEqual([]);
    await bundle.close();
  });

  it('of GNU split are read and verified without checksums', async () => {
    const base = await gnuSplit(path, partBytes);
    expect(await verifyParts(base)).toMatchObject({ hasChecksums: false });
    const bundle = await BundleReader.open(dirname(base));
    expect((await verifyBundle(bundle)).failures).toEqual([]);
    await bundle.close();
  });

  it('that are there already are kept', async () => {
    const base = await partsOf();
    const { isNew } = await writeParts(path, { partBytes, out: dirname(base) });
    expect(isNew).toBe(false);
    await expectError('FILE_FAILED', 'other parts are there already', () =>
      writeParts(path, { partBytes: partBytes + 1, out: dirname(base) }),
    );
    expect((await verifyParts(base)).hasChecksums).toBe(true);
  });

  it('can be cut anew into others, elsewhere', async () => {
    const base = await partsOf();
    const out = await memoryFolder();
    await writeParts(base, { partBytes: 700_001, out });
    expect(runProgram('sh', ['-c', `cat "$1"_part*`, '-', join(out, basename(path))]).equals(bytes)).toBe(true);
    await expectError('FILE_FAILED', 'other parts are there already', () => writeParts(base, { partBytes: 700_001 }));
  });

  it('are made again after a run that was interrupted, and leave nothing unfinished', async () => {
    const out = await memoryFolder();
    const controller = new AbortController();
    const run = writeParts(path, {
      ...{ partBytes, out, signal: controller.signal },
      onProgress: () => controller.abort(),
    });
    await expectError('ABORTED', 'interrupted', () => run);
    expect(await readdir(out)).toEqual([]);
    // Killed while the parts were given their names: the last ones have theirs.
    const base = await partsOf();
    const [first = ''] = (await readdir(dirname(base))).filter((name) => name.endsWith('_part00'));
    const whole = await readFile(join(dirname(base), first));
    await writeFile(join(dirname(base), `${first}.partial`), whole.subarray(0, 1000));
    await rm(join(dirname(base), first));
    const { isNew } = await writeParts(path, { partBytes, out: dirname(base) });
    expect(isNew).toBe(true);
    expect((await verifyParts(base)).hasChecksums).toBe(true);
    expect((await readdir(dirname(base))).filter((name) => name.endsWith('.partial'))).toEqual([]);
  });

  it.skipIf(whyNoMount !== undefined)('are not begun where they do not fit', async () => {
    await withSmallDisk(bytes.byteLength - 200_000, async (out) => {
      const error = await expectError('NO_SPACE', 'more bytes', () => writeParts(path, { partBytes, out }));
      expect(error.hint).toContain('Nothing was written');
      expect(await readdir(out)).toEqual([]);
    });
  });
});

/** Verification names exactly these parts, by number, each with a text. */
async function expectNamed(base: string, expected: Readonly<Record<string, string>>): Promise<void> {
  const error = await verifyParts(base).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof EdgeBundleError)) throw new Error('nothing was found');
  const failures = error.failures.length === 0 ? [error] : error.failures;
  const texts = failures.map(({ message }) => message);
  expect(texts).toHaveLength(Object.keys(expected).length);
  for (const [number, text] of Object.entries(expected)) {
    expect(texts.find((message) => message.includes(`_part${number}'`))).toContain(text);
  }
}

describe('with their list, verification names', () => {
  it('one flipped byte, wherever it is', async () => {
    for (const [number, position] of [
      ['03', 123_456],
      ['00', 700],
      ['05', 499_999],
    ] as const) {
      const base = await partsOf();
      await flip(`${base}_part${number}`, position);
      await expectNamed(base, { [number]: 'damaged' });
    }
  });

  it('a part that is missing: the first, one in the middle, the last, and all of them at once', async () => {
    const base = await partsOf();
    const last = String(Math.ceil(bytes.byteLength / partBytes) - 1).padStart(2, '0');
    await rm(`${base}_part02`);
    await expectNamed(base, { '02': 'is missing' });
    await rm(`${base}_part00`);
    await rm(`${base}_part${last}`);
    await expectNamed(base, { '00': 'is missing', '02': 'is missing', [last]: 'is missing' });
  });

  it('the last part where it is cut short, and one where more is there', async () => {
    const base = await partsOf();
    const last = String(Math.ceil(bytes.byteLength / partBytes) - 1).padStart(2, '0');
    await truncate(`${base}_part${last}`, 100);
    await expectNamed(base, { [last]: 'has 100 bytes' });
    await writeFile(`${base}_part01`, Buffer.alloc(partBytes + 1));
    await expectNamed(base, { [last]: 'has 100 bytes', '01': `has ${partBytes + 1} bytes` });
  });

  it('a part of another bundle, which has the same size', async () => {
    const [base, other] = [await partsOf(), await partsOf(otherPath)];
    await copyFile(`${other}_part02`, `${base}_part02`);
    await expectNamed(base, { '02': 'belongs to another bundle' });
    await flip(`${base}_part04`, 77);
    await expectNamed(base, { '02': 'belongs to another bundle', '04': 'it is damaged' });
  });

  it('a part into which nothing was copied', async () => {
    const base = await partsOf();
    await writeFile(`${base}_part03`, Buffer.alloc(partBytes));
    await expectNamed(base, { '03': 'nothing was copied' });
  });

  it('a part that is left from something else', async () => {
    const base = await partsOf();
    await writeFile(`${base}_part55`, 'left');
    await expectNamed(base, { '55': 'is no part of the bundle' });
  });

  it('a list that is larger than any, without reading it', async () => {
    const base = await partsOf();
    await truncate(`${base}.parts.json`, 3 * 1024 ** 3);
    await expect(verifyParts(base)).rejects.toMatchObject({ code: 'BUNDLE_INVALID' });
  });

  it('a list that is of another bundle', async () => {
    const [base, other] = [await partsOf(), await partsOf(otherPath)];
    await copyFile(`${other}.parts.json`, `${base}.parts.json`);
    await expectError('BUNDLE_INVALID', `it is of '${basename(otherPath)}'`, () => verifyParts(base));
    const list = (await readFile(`${base}.parts.json`, 'utf8')).replaceAll(basename(otherPath), basename(path));
    await writeFile(`${base}.parts.json`, list);
    const error = await verifyParts(base).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(EdgeBundleError);
  });
});

describe('a list of parts', () => {
  it('that is right in all but the bundle is refused when that is opened', async () => {
    const base = await partsOf();
    const list = await readFile(`${base}.parts.json`, 'utf8');
    const { id } = JSON.parse(list) as { id: string };
    await writeFile(`${base}.parts.json`, list.replace(`"id":"${id}"`, `"id":"${'0'.repeat(16)}"`));
    await expectError('BUNDLE_INVALID', `are of bundle ${id}, the list beside them is of bundle 0000`, () =>
      BundleReader.open(base),
    );
  });

  it('tells a part that was cut short from one of another split', async () => {
    for (const [change, hint] of [
      [-1, 'cut short'],
      [1, 'another split'],
    ] as const) {
      const base = await partsOf();
      await truncate(`${base}_part01`, partBytes + change);
      const error = await expectError('BUNDLE_INVALID', `_part01' has ${partBytes + change} bytes`, () =>
        PartFiles.open(base),
      );
      expect(error.hint).toContain(hint);
    }
  });

  it('says nothing of parts that the medium does not give: each is named', async () => {
    const files = await PartFiles.open(await partsOf());
    const names = files.paths.map((each) => basename(each));
    await files.close();
    const error = await expectError('FILE_FAILED', `${names.length} parts`, () => verifyOpenParts(files));
    expect(error.failures.map(({ message }) => /'[^']*\/(?<name>[^']+)'/.exec(message)?.groups?.name)).toEqual(names);
  });

  it('is not compared with all parts where that was interrupted', async () => {
    const base = await partsOf();
    const controller = new AbortController();
    let hashed = 0;
    const onProgress = (more: number): void => {
      hashed += more;
      controller.abort();
    };
    await expectError('ABORTED', 'interrupted', () => verifyParts(base, { signal: controller.signal, onProgress }));
    expect(hashed).toBe(partBytes);
  });
});

describe('without a list, as split leaves parts, verification names', () => {
  it('a part in which one of several frames begins with something else', async () => {
    const base = await gnuSplit(path, partBytes);
    const starts = framesOf(bytes).map(({ start }) => start);
    const part = starts
      .map((start) => Math.floor(start / partBytes))
      .find((at) => starts.filter((start) => Math.floor(start / partBytes) === at).length > 3);
    const start = starts.findLast((each) => Math.floor(each / partBytes) === part);
    if (part === undefined || start === undefined) throw new Error('no part has several frames');
    const number = String(part).padStart(2, '0');
    await flip(`${base}_part${number}`, start - part * partBytes);
    await expectError('BUNDLE_INVALID', `_part${number}' is not the one that was made: it is damaged`, () =>
      verifyParts(base),
    );
  });

  it('a part that is missing, the last one too, or cut short', async () => {
    const base = await gnuSplit(path, partBytes);
    const last = String(Math.ceil(bytes.byteLength / partBytes) - 1).padStart(2, '0');
    const part = await readFile(`${base}_part${last}`);
    await truncate(`${base}_part${last}`, part.byteLength - 1);
    await expectError('BUNDLE_PART_MISSING', `_part${last}'`, () => verifyParts(base));
    await rm(`${base}_part${last}`);
    await expectError('BUNDLE_PART_MISSING', 'a part is missing', () => verifyParts(base));
    await writeFile(`${base}_part${last}`, part);
    await rm(`${base}_part01`);
    await expectError('BUNDLE_PART_MISSING', `_part01' is missing`, () => verifyParts(base));
  });

  it('a part of another bundle', async () => {
    const [base, other] = [await gnuSplit(path, partBytes), await gnuSplit(otherPath, partBytes)];
    await copyFile(`${other}_part02`, `${base}_part02`);
    await expectError('BUNDLE_INVALID', `_part02' is not the one that was made: it belongs to another bundle`, () =>
      verifyParts(base),
    );
  });

  it('a part that is left from a larger bundle', async () => {
    const base = await gnuSplit(path, partBytes);
    const last = Math.ceil(bytes.byteLength / partBytes) - 1;
    const next = String(last + 1).padStart(2, '0');
    await copyFile(`${base}_part00`, `${base}_part${next}`);
    const error = await expectError('BUNDLE_INVALID', `the bundle ends with part`, () => verifyParts(base));
    expect(error.message).toContain(`_part${next}'`);
  });
});

describe('a bundle that is written in parts', () => {
  async function writeInParts(out: string, size = partBytes): Promise<string> {
    const writer = await BundleWriter.open({ ...writerOptions(out, planned), partBytes: size });
    try {
      await pushMissing(writer, planned);
      return (await writer.commit()).path;
    } finally {
      await writer.close();
    }
  }

  it('is the one that is written whole, cut', async () => {
    const out = await memoryFolder();
    const first = await writeInParts(out);
    expect(basename(first)).toBe(`${basename(path)}_part00`);
    const split = await gnuSplit(path, partBytes);
    const names = (await readdir(dirname(split))).sort();
    expect((await readdir(dirname(first))).sort()).toEqual([...names, `${basename(path)}.parts.json`].sort());
    for (const name of names) {
      expect((await readFile(join(dirname(first), name))).equals(await readFile(join(dirname(split), name)))).toBe(
        true,
      );
    }
    expect((await verifyParts(out.concat(`/${basename(dirname(first))}`))).hasChecksums).toBe(true);
  });

  it('goes on after each interruption, in the middle of a blob, and is whole', async () => {
    const out = await memoryFolder();
    for (const content of [...planned.stored, ...planned.compressed]) {
      const writer = await BundleWriter.open({ ...writerOptions(out, planned), partBytes: 100_000 });
      await pushRest(writer, content);
      await writer.close();
    }
    const first = await writeInParts(out, 100_000);
    expect(runProgram('sh', ['-c', `cat "$1"_part*`, '-', join(dirname(first), basename(path))]).equals(bytes)).toBe(
      true,
    );
    expect((await readdir(dirname(first))).filter((name) => /partial|journal|lock/.test(name))).toEqual([]);
  });

  it('is begun anew with parts of another size, or as one file', async () => {
    const out = await memoryFolder();
    for (const size of [100_000, 250_000, undefined]) {
      const writer = await BundleWriter.open({ ...writerOptions(out, planned), partBytes: size });
      const [first] = planned.stored;
      if (first !== undefined) await pushRest(writer, first);
      await writer.close();
    }
    expect((await finishBundle(out, planned)).equals(bytes)).toBe(true);
    expect(await readdir(join(out, basename(dirname(path))))).toEqual([basename(path)]);
  });

  it('goes on where it was killed between the names of two parts', async () => {
    const out = await memoryFolder();
    const first = await writeInParts(out);
    const folder = dirname(first);
    const names = (await readdir(folder)).filter((name) => name.includes('_part')).sort();
    for (const name of names.slice(0, 3))
      await cp(join(folder, name), join(folder, `${name}.partial`)).then(() => rm(join(folder, name)));
    await writeInParts(out);
    expect((await verifyParts(folder)).hasChecksums).toBe(true);
    expect((await readdir(folder)).filter((name) => name.endsWith('.partial'))).toEqual([]);
  });

  it('is read at any place of any part', async () => {
    const first = await writeInParts(await memoryFolder(), 99_999);
    const files = await PartFiles.open(first);
    expect((await files.read(0, files.size)).equals(bytes)).toBe(true);
    await files.close();
  });
});

describe('signing a bundle in parts', () => {
  it('renews the checksums of the part that it changes, and of no damaged one', async () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    const text = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const signers = [readSigner({ name: 'test', text })];
    const base = await partsOf();
    const { changed } = await signBundle(base, { signers });
    expect(changed).toBe(true);
    expect((await verifyParts(base)).hasChecksums).toBe(true);
    const other = await partsOf();
    await flip(`${other}_part00`, 40_000);
    const before = await readFile(`${other}_part00`);
    await expectError('BUNDLE_INVALID', `_part00' is not the one that was made`, () => signBundle(other, { signers }));
    expect((await readFile(`${other}_part00`)).equals(before)).toBe(true);
  });
});
