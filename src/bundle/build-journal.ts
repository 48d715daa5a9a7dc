import { type FileHandle, open, readFile } from 'node:fs/promises';

import { z } from 'zod';

import { digestSchema } from '../content/descriptor.ts';
import type { Digest } from '../content/digest.ts';
import { systemErrorCode } from '../errors.ts';
import { bootId } from '../files/boot-id.ts';
import { fileError } from '../files/file-error.ts';

const headerSchema = z.object({ bundle: digestSchema, bootId: z.string().optional() });

const recordSchema = z.union([
  /** So many bytes of a stored blob are in place. */
  z.object({ blob: digestSchema, bytes: z.int().nonnegative() }),
  /** The frames that a compressed blob has so far, by their compressed sizes. */
  z.object({ blob: digestSchema, frame: z.int().positive() }),
  /** What was written of the blob is void. */
  z.object({ blob: digestSchema, discarded: z.literal(true) }),
  /** The blob is in place and was verified. */
  z.object({ blob: digestSchema, done: z.literal(true) }),
]);

type JournalRecord = z.infer<typeof recordSchema>;

/** What a journal tells of one blob. */
export interface BlobProgress {
  done: boolean;
  /** Of a stored blob's content. */
  bytes: number;
  /** Compressed sizes of a compressed blob's frames, in order. */
  frames: number[];
}

/**
 * What a build has in place so far: lines of JSON beside the unfinished bundle, appended after the data was written. They
 * are not flushed to the disk: in the boot in which they were written, what a killed process wrote is still readable; after
 * another boot `isTrustworthy` is false, and who reads the journal checks the data.
 */
export class BuildJournal {
  readonly #handle: FileHandle;
  readonly #path: string;
  readonly #progress: Map<Digest, BlobProgress>;
  /** Whether what it says is in place can be relied on without a look. */
  readonly isTrustworthy: boolean;

  private constructor(path: string, handle: FileHandle, progress: Map<Digest, BlobProgress>, isTrustworthy: boolean) {
    this.#path = path;
    this.#handle = handle;
    this.#progress = progress;
    this.isTrustworthy = isTrustworthy;
  }

  /** Opens the journal of `bundle`, or begins it anew where there is none or it is another bundle's. */
  static async open(path: string, bundle: Digest): Promise<BuildJournal> {
    const [headerLine, ...lines] = await readLines(path);
    const header = parseLine(headerSchema, headerLine);
    const boot = bootId();
    const continues = header?.bundle === bundle;
    try {
      const handle = await open(path, continues ? 'a' : 'w');
      const journal = new BuildJournal(
        path,
        handle,
        continues ? readProgress(lines) : new Map<Digest, BlobProgress>(),
        continues && boot !== undefined && header.bootId === boot,
      );
      // A line that a power cut left incomplete must not swallow the next one.
      await journal.#append(continues ? '\n' : `${JSON.stringify({ bundle, bootId: boot })}\n`);
      return journal;
    } catch (error) {
      throw fileError(error, `cannot write the journal '${path}'`);
    }
  }

  progressOf(blob: Digest): BlobProgress | undefined {
    return this.#progress.get(blob);
  }

  record(record: JournalRecord): Promise<void> {
    applyRecord(this.#progress, record);
    return this.#append(`${JSON.stringify(record)}\n`);
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async #append(line: string): Promise<void> {
    try {
      await this.#handle.appendFile(line);
    } catch (error) {
      throw fileError(error, `cannot write the journal '${this.#path}'`);
    }
  }
}

function readProgress(lines: readonly string[]): Map<Digest, BlobProgress> {
  const progress = new Map<Digest, BlobProgress>();
  for (const line of lines) {
    const record = parseLine(recordSchema, line);
    if (record !== undefined) applyRecord(progress, record);
  }
  return progress;
}

function applyRecord(progress: Map<Digest, BlobProgress>, record: JournalRecord): void {
  const blob = progress.get(record.blob) ?? { done: false, bytes: 0, frames: [] };
  progress.set(record.blob, blob);
  if ('bytes' in record) blob.bytes = record.bytes;
  else if ('frame' in record) blob.frames.push(record.frame);
  else if ('done' in record) blob.done = true;
  else progress.delete(record.blob);
}

async function readLines(path: string): Promise<string[]> {
  try {
    return (await readFile(path, 'utf8')).split('\n');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw fileError(error, `cannot read the journal '${path}'`);
  }
}

function parseLine<T>(schema: z.ZodType<T>, line: string | undefined): T | undefined {
  try {
    return schema.parse(JSON.parse(line ?? ''));
  } catch {
    return undefined;
  }
}
