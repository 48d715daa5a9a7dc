import { constants, type FileHandle, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { EdgeBundleError } from '../errors.ts';
import { syncFolder } from '../files/atomic-file.ts';
import { fileError } from '../files/file-error.ts';
import { baseOfPart, partsOf, partSuffix } from './find-parts.ts';

export interface PartialFileOptions {
  /** Every file has so many bytes, but for the last. Default: it is one file. */
  readonly partBytes?: number | undefined;
}

/**
 * The unfinished bundle, or its unfinished parts: read and written at any position, by several at once. It is in
 * `<path>.partial`, or in `<path>_part00.partial`, … where it is cut into parts.
 */
export class PartialFile {
  readonly #target: string;
  readonly #partBytes: number;
  /** All before the last are complete in size, with holes where nothing was written yet. */
  readonly #handles: FileHandle[] = [];
  #growing: Promise<void> = Promise.resolve();

  private constructor(target: string, partBytes: number) {
    this.#target = target;
    this.#partBytes = partBytes;
  }

  /** @param target the path that the bundle is going to have */
  static async open(target: string, { partBytes = Infinity }: PartialFileOptions = {}): Promise<PartialFile> {
    const file = new PartialFile(target, partBytes);
    try {
      await file.#removeOtherForm();
      await file.#openLeft();
      return file;
    } catch (error) {
      await file.close();
      throw fileError(error, `cannot write '${file.path}'`);
    }
  }

  /** How many bytes of the disk the unfinished bundle of `target` takes; 0 where there is none. */
  static async allocatedBytes(target: string, { partBytes = Infinity }: PartialFileOptions = {}): Promise<number> {
    let bytes = 0;
    for (let index = 0; ; index += 1) {
      const blocks = await stat(partialPath(target, partBytes, index)).then(
        (info) => info.blocks,
        () => undefined,
      );
      if (blocks === undefined) return bytes;
      bytes += blocks * 512;
      if (partBytes === Infinity) return bytes;
    }
  }

  /** The first file's. */
  get path(): string {
    return this.#pathOf(0);
  }

  /** Up to where an earlier run may have written. @throws EdgeBundleError FILE_FAILED */
  async size(): Promise<number> {
    try {
      let bytes = 0;
      for (const handle of this.#handles) {
        const { size } = await handle.stat();
        bytes += size;
        // What was cut off here is not there, whatever comes after it.
        if (size < this.#partBytes) break;
      }
      return bytes;
    } catch (error) {
      throw fileError(error, `cannot read '${this.path}'`);
    }
  }

  /** Writes all of `pieces`, one behind the other. @throws EdgeBundleError NO_SPACE, FILE_FAILED */
  async write(pieces: readonly Buffer[], position: number): Promise<void> {
    let [rest, at] = [pieces, position];
    try {
      while (rest.length > 0) {
        const { handle, offset, left } = await this.#placeOf(at);
        const { bytesWritten } = await handle.writev(firstBytes(rest, left), offset);
        at += bytesWritten;
        rest = withoutFirst(rest, bytesWritten);
      }
    } catch (error) {
      throw fileError(error, `cannot write '${this.path}'`);
    }
  }

  /** @throws EdgeBundleError FILE_FAILED, also where the file ends before */
  async read(position: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafeSlow(length);
    await this.fill(buffer, position);
    return buffer;
  }

  /** Fills the whole of `buffer` with what is from `position` on. @throws as `read` */
  async fill(buffer: Buffer, position: number): Promise<void> {
    const length = buffer.byteLength;
    try {
      for (let filled = 0; filled < length;) {
        const { handle, offset, left } = await this.#placeOf(position + filled);
        const { bytesRead } = await handle.read(buffer, filled, Math.min(length - filled, left), offset);
        if (bytesRead === 0) {
          throw new EdgeBundleError('FILE_FAILED', `'${this.path}' ends before byte ${position + length}`);
        }
        filled += bytesRead;
      }
    } catch (error) {
      throw fileError(error, `cannot read '${this.path}'`);
    }
  }

  /** Cuts it at `size` bytes and makes it durable. */
  async finish(size: number): Promise<void> {
    try {
      await this.#placeOf(size - 1);
      const count = this.#partBytes === Infinity ? 1 : Math.ceil(size / this.#partBytes);
      for (const handle of this.#handles.splice(count)) await handle.close();
      await this.#removeFrom(count);
      for (const [index, handle] of this.#handles.entries()) {
        await handle.truncate(Math.min(this.#partBytes, size - (index === 0 ? 0 : index * this.#partBytes)));
        await handle.sync();
      }
    } catch (error) {
      throw fileError(error, `cannot write '${this.path}'`);
    }
  }

  /**
   * Gives the finished bundle its name, or its parts theirs: the last one first, so that whoever finds only some of them
   * misses the first.
   *
   * @returns the paths, in order
   */
  async publish(): Promise<readonly string[]> {
    const paths = this.#handles.map((_, index) => finalPath(this.#target, this.#partBytes, index));
    try {
      for (const [index, path] of [...paths.entries()].reverse()) await rename(this.#pathOf(index), path);
      if (this.#partBytes < Infinity) await this.#removeStale(paths);
      await syncFolder(dirname(this.#target));
    } catch (error) {
      throw fileError(error, `cannot give the bundle its name '${this.#target}'`);
    }
    return paths;
  }

  /** Removes what is unfinished. */
  async discard(): Promise<void> {
    for (const index of this.#handles.keys()) await rm(this.#pathOf(index), { force: true });
  }

  async close(): Promise<void> {
    await Promise.all(this.#handles.map((handle) => handle.close()));
  }

  #pathOf(index: number): string {
    return partialPath(this.#target, this.#partBytes, index);
  }

  async #placeOf(position: number): Promise<{ handle: FileHandle; offset: number; left: number }> {
    const index = this.#partBytes === Infinity ? 0 : Math.floor(position / this.#partBytes);
    if (this.#handles[index] === undefined) await this.#growTo(index);
    const handle = this.#handles[index];
    if (handle === undefined) throw new EdgeBundleError('FILE_FAILED', `'${this.path}' is closed`);
    const offset = position - (index === 0 ? 0 : index * this.#partBytes);
    return { handle, offset, left: this.#partBytes - offset };
  }

  /** One after the other: two that need the same file must not open it twice. */
  #growTo(index: number): Promise<void> {
    const grow = async (): Promise<void> => {
      while (this.#handles.length <= index) {
        await this.#handles.at(-1)?.truncate(this.#partBytes);
        this.#handles.push(await openPartial(this.#pathOf(this.#handles.length)));
      }
    };
    this.#growing = this.#growing.then(grow, grow);
    return this.#growing;
  }

  /** What an earlier run left. It may have been killed while it gave the parts their names. */
  async #openLeft(): Promise<void> {
    for (let index = 0; this.#partBytes < Infinity; index += 1) {
      const partial = this.#pathOf(index);
      const published = finalPath(this.#target, this.#partBytes, index);
      if (!(await isThere(partial))) {
        if (!(await isThere(published))) break;
        await rename(published, partial);
      }
      this.#handles.push(await openPartial(partial));
    }
    await this.#growTo(0);
  }

  /** An earlier run may have begun it as one file, or in parts; what is in them is at other places. */
  async #removeOtherForm(): Promise<void> {
    if (this.#partBytes === Infinity) {
      for (const path of await partialPartsOf(this.#target)) await rm(path, { force: true });
    } else {
      await rm(partialPath(this.#target, Infinity, 0), { force: true });
    }
  }

  /** Parts of an earlier, smaller cut of the same bundle. */
  async #removeStale(kept: readonly string[]): Promise<void> {
    for (const path of await partsOf(dirname(this.#target), basename(this.#target))) {
      if (!kept.includes(path)) await rm(path, { force: true });
    }
  }

  async #removeFrom(count: number): Promise<void> {
    if (this.#partBytes === Infinity) return;
    const kept = new Set(Array.from({ length: count }, (_, index) => this.#pathOf(index)));
    for (const path of await partialPartsOf(this.#target)) if (!kept.has(path)) await rm(path, { force: true });
  }
}

function partialPath(target: string, partBytes: number, index: number): string {
  return `${finalPath(target, partBytes, index)}.partial`;
}

function finalPath(target: string, partBytes: number, index: number): string {
  return partBytes === Infinity ? target : `${target}${partSuffix(index)}`;
}

async function partialPartsOf(target: string): Promise<readonly string[]> {
  const names = await readdir(dirname(target));
  return names.flatMap((name) => {
    const isPartial = name.endsWith('.partial') && baseOfPart(name.slice(0, -'.partial'.length)) === basename(target);
    return isPartial ? [join(dirname(target), name)] : [];
  });
}

function openPartial(path: string): Promise<FileHandle> {
  return open(path, constants.O_RDWR | constants.O_CREAT, 0o644);
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** As much of `pieces` as `bytes` allow. */
function firstBytes(pieces: readonly Buffer[], bytes: number): readonly Buffer[] {
  let left = bytes;
  const first: Buffer[] = [];
  for (const piece of pieces) {
    if (left <= 0) break;
    first.push(left < piece.byteLength ? piece.subarray(0, left) : piece);
    left -= piece.byteLength;
  }
  return first;
}

function withoutFirst(pieces: readonly Buffer[], bytes: number): readonly Buffer[] {
  let left = bytes;
  for (const [index, piece] of pieces.entries()) {
    if (left < piece.byteLength) return [piece.subarray(left), ...pieces.slice(index + 1)];
    left -= piece.byteLength;
  }
  return [];
}
