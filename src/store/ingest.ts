import { randomUUID } from 'node:crypto';
import { type FileHandle, open, readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Readable } from 'node:stream';

import type { Descriptor } from '../content/descriptor.ts';
import type { OperationOptions } from '../content/store.ts';
import { isEdgeBundleError, systemErrorCode } from '../errors.ts';
import { fileError } from '../files/file-error.ts';
import { withFileLock } from '../files/file-lock.ts';
import { receive } from './receive.ts';

const lockSuffix = '.lock';

/**
 * The folder in which content is received: on the layout's file system, and outside of what the layout shows. Each file
 * has a lock for as long as its writer lives, so that what a killed writer left is told from what another process writes.
 */
export class Ingest {
  readonly #folder: string;

  constructor(layoutFolder: string) {
    this.#folder = join(layoutFolder, 'ingest');
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
    const path = join(this.#folder, randomUUID());
    await withFileLock(`${path}${lockSuffix}`, options, async () => {
      try {
        await writeContent(path, expected, content, options);
        await place(path);
      } catch (error) {
        await rm(path, { force: true });
        throw error;
      }
    });
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

async function writeContent(
  path: string,
  expected: Descriptor,
  content: Readable,
  { signal }: OperationOptions,
): Promise<void> {
  const failed = (error: unknown): Error => fileError(error, `cannot write ${expected.digest} to '${path}'`);
  const file = await open(path, 'wx').catch((error: unknown) => Promise.reject(failed(error)));
  try {
    const write = (chunks: readonly Uint8Array[]): Promise<void> =>
      writeAll(file, chunks).catch((error: unknown) => Promise.reject(failed(error)));
    await receive(expected, content, { signal, write });
    await file.sync().catch((error: unknown) => Promise.reject(failed(error)));
  } finally {
    await file.close();
  }
}

/** A disk that is nearly full takes a part of the bytes without an error; writing the rest gives the error. */
async function writeAll(file: FileHandle, chunks: readonly Uint8Array[]): Promise<void> {
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  const { bytesWritten } = await file.writev(chunks);
  if (bytesWritten < bytes) await file.writeFile(Buffer.concat(chunks).subarray(bytesWritten));
}

function isReadOnly(error: unknown): boolean {
  const code = systemErrorCode(error instanceof Error ? error.cause : undefined);
  return code === 'EACCES' || code === 'EPERM' || code === 'EROFS';
}
