import { writeFully } from '../files/write-fully.ts';
import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { type Digest, digestAlgorithm, Digester } from '../content/digest.ts';
import { bytesOf } from '../content/verify.ts';
import { fileError } from '../files/file-error.ts';
import { ProtocolError } from './protocol-error.ts';

const batchBytes = 1024 * 1024;

/** One upload: a file that grows, hashed as it does. It is made when the first byte comes. */
export class UploadSession {
  readonly id: string = randomUUID();
  readonly repository: string;
  readonly #path: string;
  readonly #digester = new Digester();
  #file: FileHandle | undefined;
  #sizeBytes = 0;
  #isOpen = true;

  constructor(repository: string, folder: string) {
    this.repository = repository;
    this.#path = join(folder, this.id);
  }

  /** How many bytes have arrived. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** False once the upload is finished, discarded, too large, or could not be written. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /**
   * Adds `content`. Where it ends early by an error, what came before is kept and the error is thrown.
   *
   * @throws ProtocolError 413 where the upload would have more than `maxBytes`
   * @throws EdgeBundleError NO_SPACE, FILE_FAILED
   */
  async append(content: AsyncIterable<Buffer>, maxBytes: number): Promise<void> {
    let batch: Buffer[] = [];
    let waitingBytes = 0;
    let writing = Promise.resolve();
    const flush = async (): Promise<void> => {
      await writing;
      writing = this.#write(batch, waitingBytes, this.#sizeBytes);
      this.#sizeBytes += waitingBytes;
      batch = [];
      waitingBytes = 0;
      // A failure is thrown by whoever waits for the write; until then it must not count as unhandled.
      writing.catch(() => undefined);
    };
    try {
      for await (const chunk of content) {
        if (this.#sizeBytes + waitingBytes + chunk.byteLength > maxBytes) {
          this.#isOpen = false;
          throw new ProtocolError(413, 'SIZE_INVALID', `a blob may have ${maxBytes} bytes; more came`);
        }
        this.#digester.update(chunk);
        batch.push(chunk);
        waitingBytes += chunk.byteLength;
        if (waitingBytes >= batchBytes) await flush();
      }
    } finally {
      await flush();
      await writing;
    }
  }

  /**
   * Ends the upload: its digest, by the algorithm of `expected`, and the file, which has been flushed to the disk and
   * is the caller's from now on.
   *
   * @throws EdgeBundleError NO_SPACE, FILE_FAILED
   */
  async finish(expected: Digest): Promise<{ readonly digest: Digest; readonly path: string }> {
    const file = await this.#open();
    this.#isOpen = false;
    this.#file = undefined;
    try {
      await file.sync();
    } catch (error) {
      throw fileError(error, 'cannot store an upload');
    } finally {
      await file.close();
    }
    const sha256 = this.#digester.digest();
    const digest = digestAlgorithm(expected) === 'sha256' ? sha256 : await hashFile(this.#path, expected);
    return { digest, path: this.#path };
  }

  /** Removes what has arrived. */
  async discard(): Promise<void> {
    const file = this.#file;
    this.#isOpen = false;
    this.#file = undefined;
    await file?.close();
    await rm(this.#path, { force: true });
  }

  async #open(): Promise<FileHandle> {
    try {
      return (this.#file ??= await open(this.#path, 'wx'));
    } catch (error) {
      throw fileError(error, 'cannot store an upload');
    }
  }

  async #write(chunks: Buffer[], sizeBytes: number, position: number): Promise<void> {
    if (chunks.length === 0) return;
    try {
      const file = await this.#open();
      const { bytesWritten } = await file.writev(chunks, position);
      if (bytesWritten < sizeBytes) {
        await writeFully(file, Buffer.concat(chunks).subarray(bytesWritten), position + bytesWritten);
      }
    } catch (error) {
      this.#isOpen = false;
      throw fileError(error, 'cannot store an upload');
    }
  }
}

async function hashFile(path: string, expected: Digest): Promise<Digest> {
  const digester = new Digester(digestAlgorithm(expected));
  for await (const chunk of bytesOf(createReadStream(path))) digester.update(chunk);
  return digester.digest();
}
