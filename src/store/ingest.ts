import { randomUUID } from 'node:crypto';
import { type FileHandle, open, readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Readable } from 'node:stream';

import type { Descriptor } from '../content/descriptor.ts';
import type { OperationOptions } from '../content/store.ts';
import { type EdgeBundleError, isEdgeBundleError, systemErrorCode } from '../errors.ts';
import { fileError } from '../files/file-error.ts';
import { FileLock, withFileLock } from '../files/file-lock.ts';
import { receive } from './receive.ts';

const lockSuffix = '.lock';

/**
 * The folder in which content is received: on the file system where it is to be kept, and outside of what is shown. Each
 * file has a lock for as long as its writer lives, so that what a killed writer left is told from what another process writes.
 */
export class Ingest {
  readonly #folder: string;

  /** @param parent the folder that has, or gets, a folder `ingest` */
  constructor(parent: string) {
    this.#folder = join(parent, 'ingest');
  }

  /**
   * Receives `content` into a file, verified and flushed to the disk, and hands the file to `place`, which moves it away.
   * Where anything fails, nothing stays behind.
   */
  async receive(
    expected: Descriptor,
    content: Readable,
    place: (path: string) => Promise<void>,
    options: OperationOptions = {},
  ): Promise<void> {
    const file = await this.create(options);
    try {
      const { signal } = options;
      await receive(expected, content, { signal, write: (chunks) => file.write(chunks) });
      await file.sync();
      await place(file.path);
    } finally {
      await file.close();
    }
  }

  /** A new file for content that comes piece by piece. */
  async create(options: OperationOptions = {}): Promise<IngestFile> {
    const path = join(this.#folder, randomUUID());
    const lock = await FileLock.acquire(`${path}${lockSuffix}`, options);
    try {
      return new IngestFile(path, await open(path, 'wx'), lock);
    } catch (error) {
      await lock.release();
      throw fileError(error, `cannot write '${path}'`);
    }
  }

  /** Removes what killed writers left behind. */
  async clean(): Promise<void> {
    for (const name of await this.#abandonable()) {
      const path = join(this.#folder, name);
      try {
        await withFileLock(`${path}${lockSuffix}`, {}, () => rm(path, { force: true }));
      } catch (error) {
        if (!isEdgeBundleError(error, 'LOCKED') && !isReadOnly(error)) throw error;
      }
    }
  }

  async #abandonable(): Promise<ReadonlySet<string>> {
    try {
      const names = await readdir(this.#folder);
      return new Set(names.map((name) => basename(name, lockSuffix)));
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return new Set();
      throw fileError(error, `cannot list '${this.#folder}'`);
    }
  }
}

/** A file that is being received. */
export class IngestFile {
  readonly path: string;
  readonly #handle: FileHandle;
  readonly #lock: FileLock;
  #bytes = 0;
  #isOpen = true;

  constructor(path: string, handle: FileHandle, lock: FileLock) {
    this.path = path;
    this.#handle = handle;
    this.#lock = lock;
  }

  /** How many bytes it has. */
  get bytes(): number {
    return this.#bytes;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** @throws EdgeBundleError NO_SPACE, FILE_FAILED */
  async write(chunks: readonly Uint8Array[]): Promise<void> {
    try {
      const bytes = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
      const { bytesWritten } = await this.#handle.writev(chunks, this.#bytes);
      this.#bytes += bytesWritten;
      // A disk that is nearly full takes a part of the bytes without an error; writing the rest gives the error.
      if (bytesWritten < bytes) await this.write([Buffer.concat(chunks).subarray(bytesWritten)]);
    } catch (error) {
      throw this.#failure(error);
    }
  }

  /** Drops what comes after the first `bytes`, of which it has at least so many. @throws EdgeBundleError FILE_FAILED */
  async rewind(bytes: number): Promise<void> {
    try {
      if (bytes < this.#bytes) await this.#handle.truncate(bytes);
      this.#bytes = bytes;
    } catch (error) {
      throw this.#failure(error);
    }
  }

  /** Flushes it to the disk. @throws EdgeBundleError NO_SPACE, FILE_FAILED */
  async sync(): Promise<void> {
    try {
      await this.#handle.sync();
    } catch (error) {
      throw this.#failure(error);
    }
  }

  /** Ends the work. The file is removed where it has not been moved away. */
  async close(): Promise<void> {
    this.#isOpen = false;
    try {
      await this.#handle.close();
      await rm(this.path, { force: true });
    } finally {
      await this.#lock.release();
    }
  }

  #failure(error: unknown): EdgeBundleError {
    return fileError(error, `cannot write '${this.path}'`);
  }
}

function isReadOnly(error: unknown): boolean {
  const code = systemErrorCode(error instanceof Error ? error.cause : undefined);
  return code === 'EACCES' || code === 'EPERM' || code === 'EROFS';
}
