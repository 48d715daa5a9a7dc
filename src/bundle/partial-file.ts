import { constants, type FileHandle, open, stat } from 'node:fs/promises';

import { EdgeBundleError } from '../errors.ts';
import { fileError } from '../files/file-error.ts';

/** The unfinished bundle: read and written at any position, by several at once. */
export class PartialFile {
  readonly #handle: FileHandle;
  readonly path: string;

  private constructor(path: string, handle: FileHandle) {
    this.path = path;
    this.#handle = handle;
  }

  static async open(path: string): Promise<PartialFile> {
    try {
      return new PartialFile(path, await open(path, constants.O_RDWR | constants.O_CREAT, 0o644));
    } catch (error) {
      throw fileError(error, `cannot write '${path}'`);
    }
  }

  /** How many bytes of the disk the file at `path` takes; 0 where there is none. */
  static async allocatedBytes(path: string): Promise<number> {
    try {
      return (await stat(path)).blocks * 512;
    } catch {
      return 0;
    }
  }

  /** @throws EdgeBundleError FILE_FAILED */
  async size(): Promise<number> {
    try {
      return (await this.#handle.stat()).size;
    } catch (error) {
      throw fileError(error, `cannot read '${this.path}'`);
    }
  }

  /** Writes all of `pieces`, one behind the other. @throws EdgeBundleError NO_SPACE, FILE_FAILED */
  async write(pieces: readonly Buffer[], position: number): Promise<void> {
    let [rest, at] = [pieces, position];
    try {
      while (rest.length > 0) {
        const { bytesWritten } = await this.#handle.writev(rest, at);
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
    try {
      for (let filled = 0; filled < length;) {
        const { bytesRead } = await this.#handle.read(buffer, filled, length - filled, position + filled);
        if (bytesRead === 0) {
          throw new EdgeBundleError('FILE_FAILED', `'${this.path}' ends before byte ${position + length}`);
        }
        filled += bytesRead;
      }
    } catch (error) {
      throw fileError(error, `cannot read '${this.path}'`);
    }
    return buffer;
  }

  /** Cuts the file at `size` bytes and makes it durable. */
  async finish(size: number): Promise<void> {
    try {
      await this.#handle.truncate(size);
      await this.#handle.sync();
    } catch (error) {
      throw fileError(error, `cannot write '${this.path}'`);
    }
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

function withoutFirst(pieces: readonly Buffer[], bytes: number): readonly Buffer[] {
  let left = bytes;
  for (const [index, piece] of pieces.entries()) {
    if (left < piece.byteLength) return [piece.subarray(left), ...pieces.slice(index + 1)];
    left -= piece.byteLength;
  }
  return [];
}
