import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { EdgeBundleError, systemErrorCode } from '../errors.ts';
import { fileError } from '../files/file-error.ts';

const partName = /^(?<base>.+)_part(?<number>\d{2,})$/;
const bundleEnding = '.tar.zst';

interface OpenPart {
  readonly path: string;
  readonly handle: FileHandle;
  readonly start: number;
  readonly size: number;
}

/** A file, or the parts of one that `split` made, read as one sequence of bytes. */
export class PartFiles {
  readonly #parts: readonly OpenPart[];
  /** In bytes, all parts together. */
  readonly size: number;

  private constructor(parts: readonly OpenPart[]) {
    this.#parts = parts;
    this.size = parts.reduce((sum, part) => sum + part.size, 0);
  }

  /**
   * @param path a file; the name that parts have before `_part00`; any one of the parts; or a folder with one bundle in it
   * @throws EdgeBundleError FILE_FAILED; BUNDLE_PART_MISSING with the name of the part; BUNDLE_INVALID where a part
   *   before the last is shorter than another
   */
  static async open(path: string): Promise<PartFiles> {
    const paths = await findFiles(path);
    const parts: OpenPart[] = [];
    let start = 0;
    try {
      for (const part of paths) {
        const opened = await openPart(part, start);
        parts.push(opened);
        start += opened.size;
      }
      ensureEqualSizes(parts);
    } catch (error) {
      await closeAll(parts);
      throw fileError(error, `cannot read the bundle '${path}'`);
    }
    return new PartFiles(parts);
  }

  /** The files' paths, in order. */
  get paths(): readonly string[] {
    return this.#parts.map(({ path }) => path);
  }

  /** `length` bytes from `position`. @throws EdgeBundleError BUNDLE_INVALID where the files end before that, FILE_FAILED */
  async read(position: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafeSlow(length);
    let filled = 0;
    for (let index = this.#partAt(position); filled < length; index += 1) {
      const part = this.#parts[index];
      if (part === undefined) throw truncated(this.paths, position + length, this.size);
      const from = position + filled - part.start;
      const end = Math.min(length, filled + part.size - from);
      while (filled < end) {
        const { bytesRead } = await readAt(part, buffer.subarray(filled, end), position + filled - part.start);
        if (bytesRead === 0) throw truncated([part.path], part.size, position + filled - part.start);
        filled += bytesRead;
      }
    }
    return buffer;
  }

  /**
   * Writes `bytes` over those at `position`, and makes them durable. Whoever is killed meanwhile leaves some of them.
   *
   * @throws EdgeBundleError FILE_FAILED, also where the files end before or cannot be written
   */
  async overwrite(position: number, bytes: Buffer): Promise<void> {
    if (position + bytes.byteLength > this.size) throw truncated(this.paths, position + bytes.byteLength, this.size);
    const end = position + bytes.byteLength;
    for (const { path, start, size } of this.#parts.filter(
      (part) => part.start < end && part.start + part.size > position,
    )) {
      const from = Math.max(position, start);
      const piece = bytes.subarray(from - position, Math.min(end, start + size) - position);
      try {
        await writeAt(path, piece, from - start);
      } catch (error) {
        throw fileError(error, `cannot write '${path}'`);
      }
    }
  }

  async close(): Promise<void> {
    await closeAll(this.#parts);
  }

  #partAt(position: number): number {
    let [low, high] = [0, this.#parts.length];
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((this.#parts[middle]?.start ?? 0) <= position) low = middle;
      else high = middle;
    }
    return low;
  }
}

/**
 * The ending of part `index` as `split --numeric-suffixes` names it: two digits up to 89, then 9000 to 9899,
 * then 990000 and on: longer names sort behind shorter ones.
 */
export function partSuffix(index: number): string {
  let [digits, first, count] = [2, 0, 90];
  for (;;) {
    if (index < first + count) {
      const prefix = '9'.repeat(digits / 2 - 1);
      return `_part${prefix}${String(index - first).padStart(digits - prefix.length, '0')}`;
    }
    [digits, first, count] = [digits + 2, first + count, count * 10];
  }
}

/** The path that parts have before `_part00`; any other path as it is. */
export function withoutPartSuffix(path: string): string {
  const base = partName.exec(basename(path))?.groups?.base;
  return base === undefined ? path : join(dirname(path), base);
}

async function findFiles(path: string): Promise<string[]> {
  const info = await statOrUndefined(path);
  if (info?.isDirectory() === true) return findFiles(await theBundleIn(path));
  if (info !== undefined && !partName.test(basename(path))) return [path];
  const base = partName.exec(basename(path))?.groups?.base ?? basename(path);
  const parts = await partsOf(dirname(path), base);
  if (parts.length === 0) {
    throw new EdgeBundleError(
      'FILE_FAILED',
      `there is no bundle '${path}', and no parts of one ('${base}_part00', …)`,
      {
        hint: 'Check the path.',
      },
    );
  }
  return parts;
}

async function theBundleIn(folder: string): Promise<string> {
  const names = await namesIn(folder);
  const bundles = new Set<string>();
  for (const name of names) {
    const base = partName.exec(name)?.groups?.base ?? name;
    if (base.endsWith(bundleEnding)) bundles.add(base);
  }
  const [bundle, ...others] = bundles;
  if (bundle === undefined || others.length > 0) {
    throw new EdgeBundleError(
      'FILE_FAILED',
      `'${folder}' holds ${bundles.size} bundles; a folder with exactly one, or the bundle itself, is expected`,
      { hint: 'Name the bundle, a file core-….tar.zst or its parts ….tar.zst_part00.' },
    );
  }
  return join(folder, bundle);
}

async function partsOf(folder: string, base: string): Promise<string[]> {
  const present = new Set((await namesIn(folder)).filter((name) => partName.exec(name)?.groups?.base === base));
  const parts: string[] = [];
  for (let index = 0; parts.length < present.size; index += 1) {
    const name = `${base}${partSuffix(index)}`;
    if (!present.has(name)) {
      throw new EdgeBundleError(
        'BUNDLE_PART_MISSING',
        `part '${name}' is missing in '${folder}'; ${present.size} parts are there, in all`,
        { hint: 'Copy the missing part again; parts are named as split --numeric-suffixes does.' },
      );
    }
    parts.push(join(folder, name));
  }
  return parts;
}

async function openPart(path: string, start: number): Promise<OpenPart> {
  const handle = await open(path, 'r');
  try {
    return { path, handle, start, size: (await handle.stat()).size };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** `split` makes all parts of one size; the last one has what is left, and is never empty. */
function ensureEqualSizes(parts: readonly OpenPart[]): void {
  if (parts.length === 1) return;
  const full = parts.reduce((most, { size }) => Math.max(most, size), 0);
  for (const [index, part] of parts.entries()) {
    const isLast = index === parts.length - 1;
    if (part.size === full || (isLast && part.size > 0)) continue;
    throw new EdgeBundleError(
      'BUNDLE_INVALID',
      `part '${part.path}' has ${part.size} bytes; ${isLast ? 'it cannot be empty' : `${full} are expected`}`,
      { hint: 'It was cut short or belongs to another bundle; copy it again.' },
    );
  }
}

async function writeAt(path: string, bytes: Buffer, position: number): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    for (let written = 0; written < bytes.byteLength;) {
      const { bytesWritten } = await handle.write(bytes, written, bytes.byteLength - written, position + written);
      written += bytesWritten;
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function readAt(part: OpenPart, buffer: Buffer, position: number): Promise<{ readonly bytesRead: number }> {
  try {
    return await part.handle.read(buffer, 0, buffer.byteLength, position);
  } catch (error) {
    throw fileError(error, `cannot read '${part.path}' at byte ${position}`);
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    throw fileError(error, `cannot read the folder '${folder}'`);
  }
}

async function statOrUndefined(path: string): Promise<Awaited<ReturnType<typeof stat>> | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw fileError(error, `cannot read '${path}'`);
  }
}

async function closeAll(parts: readonly OpenPart[]): Promise<void> {
  await Promise.all(parts.map(({ handle }) => handle.close()));
}

function truncated(paths: readonly string[], expected: number, actual: number): EdgeBundleError {
  return new EdgeBundleError(
    'BUNDLE_INVALID',
    `'${paths.at(-1) ?? ''}' is cut short: at least ${expected} bytes are expected, ${actual} are there`,
    { hint: 'Copy the bundle again.' },
  );
}
