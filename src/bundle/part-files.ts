import { writeFully } from '../files/write-fully.ts';
import { type FileHandle, open } from 'node:fs/promises';
import { basename, dirname } from 'node:path';

import { combineFailures, EdgeBundleError } from '../errors.ts';
import { fileError } from '../files/file-error.ts';
import { findBundleFiles, type FoundFiles, partSuffix } from './find-parts.ts';
import { differencesFrom, type PartList, readPartList } from './part-list.ts';
import { seekTableFooterBytes, seekTableSize } from './seek-table.ts';

/** A file, or bytes within one: a part that lies in an image of a file system is read without mounting that. */
export interface PartExtent {
  readonly path: string;
  /** What to call it in messages, and in `paths`. Default: `path`. */
  readonly name?: string | undefined;
  /** Where in the file it begins. Default: 0. */
  readonly offset?: number | undefined;
  /** Default: up to the end of the file. */
  readonly size?: number | undefined;
}

interface OpenPart {
  readonly path: string;
  readonly handle: FileHandle;
  readonly offset: number;
  /** Where in all parts together it begins. */
  readonly start: number;
  readonly size: number;
}

/** A file, or the parts of one that `split` made, read as one sequence of bytes. */
export class PartFiles {
  readonly #parts: readonly OpenPart[];
  /** In bytes, all parts together. */
  readonly size: number;
  /** What stands beside the parts; undefined where nothing does. Names and sizes are as it says. */
  readonly list: PartList | undefined;

  private constructor(parts: readonly OpenPart[], list: PartList | undefined) {
    this.#parts = parts;
    this.size = parts.reduce((sum, part) => sum + part.size, 0);
    this.list = list;
  }

  /**
   * @param path a file; the name that parts have before `_part00`; any one of the parts; or a folder with one bundle in it
   * @throws EdgeBundleError FILE_FAILED; BUNDLE_PART_MISSING with the name of the part; BUNDLE_INVALID where a part
   *   before the last is shorter than another, or where parts are not those of the list beside them
   */
  static async open(path: string): Promise<PartFiles> {
    const { paths, base } = await findBundleFiles(path);
    const list = base === undefined ? undefined : await readPartList(base);
    if (list === undefined) ensureNoneMissing({ paths, base });
    return PartFiles.ofExtents(
      paths.map((each) => ({ path: each })),
      list,
    );
  }

  /** The same over bytes of files; with their list, where there is one. */
  static async ofExtents(extents: readonly PartExtent[], list?: PartList): Promise<PartFiles> {
    const parts: OpenPart[] = [];
    let start = 0;
    try {
      for (const extent of extents) {
        const part = await openPart(extent, start);
        parts.push(part);
        start += part.size;
      }
      if (list === undefined) await ensureEqualSizes(parts);
      else ensureAsListed(parts, list);
    } catch (error) {
      await closeAll(parts);
      throw fileError(error, `cannot read the bundle '${extents[0]?.name ?? extents[0]?.path ?? ''}'`);
    }
    return new PartFiles(parts, list);
  }

  /** The files' paths, in order. */
  get paths(): readonly string[] {
    return this.#parts.map(({ path }) => path);
  }

  /** Each part and where it stands: bytes `start` to `end` of the whole. */
  get parts(): readonly { readonly path: string; readonly start: number; readonly end: number }[] {
    return this.#parts.map(({ path, start, size }) => ({ path, start, end: start + size }));
  }

  /** `length` bytes from `position`. @throws EdgeBundleError BUNDLE_INVALID where the files end before that, FILE_FAILED */
  async read(position: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafeSlow(length);
    await this.fill(buffer, position);
    return buffer;
  }

  /** Fills the whole of `buffer` with what is from `position` on. @throws as `read` */
  async fill(buffer: Buffer, position: number): Promise<void> {
    const length = buffer.byteLength;
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

/** What no list is needed to see. */
function ensureNoneMissing({ paths, base }: FoundFiles): void {
  if (base === undefined) return;
  for (const [index, path] of paths.entries()) {
    const name = `${basename(base)}${partSuffix(index)}`;
    if (basename(path) === name) continue;
    throw new EdgeBundleError(
      'BUNDLE_PART_MISSING',
      `part '${name}' is missing in '${dirname(base)}'; ${paths.length} parts are there, in all`,
      { hint: 'Copy the missing part again; parts are named as split --numeric-suffixes does.' },
    );
  }
}

async function openPart({ path, name = path, offset = 0, size }: PartExtent, start: number): Promise<OpenPart> {
  const handle = await open(path, 'r');
  try {
    return { path: name, handle, offset, start, size: size ?? (await handle.stat()).size - offset };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function ensureAsListed(parts: readonly OpenPart[], list: PartList): void {
  const present = parts.map(({ path, size }) => ({ name: basename(path), size }));
  const folder = dirname(parts[0]?.path ?? '');
  const failures = differencesFrom(list, present, `'${folder}'`);
  const [only, ...others] = failures;
  if (only === undefined) return;
  if (others.length === 0) throw only;
  throw combineFailures('BUNDLE_INVALID', `the parts of '${list.bundle}' are not as their list says`, failures);
}

/** `split` makes all parts of one size; the last one has what is left, and is never empty. */
async function ensureEqualSizes(parts: readonly OpenPart[]): Promise<void> {
  const full = parts.reduce((most, { size }) => Math.max(most, size), 0);
  for (const [index, part] of parts.entries()) {
    const next = parts[index + 1];
    if (part.size === full || (next === undefined && part.size > 0)) continue;
    if (next !== undefined && (await endsWithSeekTable(part))) {
      throw new EdgeBundleError(
        'BUNDLE_INVALID',
        `the bundle ends with part '${part.path}', and there are more: '${next.path}'`,
        { hint: 'Those after it are left from something else; remove them.' },
      );
    }
    throw new EdgeBundleError(
      'BUNDLE_INVALID',
      `part '${part.path}' has ${part.size} bytes; ${next === undefined ? 'it cannot be empty' : `${full} are expected`}`,
      { hint: 'It was cut short or belongs to another bundle; copy it again.' },
    );
  }
}

async function writeAt(path: string, bytes: Buffer, position: number): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    await writeFully(handle, bytes, position);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function endsWithSeekTable(part: OpenPart): Promise<boolean> {
  const footer = Buffer.alloc(seekTableFooterBytes);
  await readAt(part, footer, Math.max(0, part.size - footer.byteLength));
  try {
    return seekTableSize(footer) !== undefined;
  } catch {
    return false;
  }
}

async function readAt(part: OpenPart, buffer: Buffer, position: number): Promise<{ readonly bytesRead: number }> {
  try {
    return await part.handle.read(buffer, 0, buffer.byteLength, part.offset + position);
  } catch (error) {
    throw fileError(error, `cannot read '${part.path}' at byte ${position}`);
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
