import { type FileHandle, open, readFile, rm } from 'node:fs/promises';

import * as z from 'zod';

import { digestSchema } from '../content/descriptor.ts';
import type { Digest } from '../content/digest.ts';
import { systemErrorCode } from '../errors.ts';
import { writeFileAtomic } from '../files/atomic-file.ts';
import { bootId } from '../files/boot-id.ts';
import { fileError } from '../files/file-error.ts';
import { maxCompressedFrameBytes } from './bundle-layout.ts';

const headerSchema = z.object({
  bundle: digestSchema,
  start: z.int(),
  partBytes: z.int().optional(),
  bootId: z.string().optional(),
});

const recordSchema = z.union([
  /** So many bytes of a stored blob are in place. */
  z.object({ blob: digestSchema, bytes: z.int().nonnegative() }),
  /** The frames that a compressed blob has so far, by their compressed sizes. */
  z.object({ blob: digestSchema, frame: z.int().positive().max(maxCompressedFrameBytes) }),
  /** What was written of the blob is void. */
  z.object({ blob: digestSchema, discarded: z.literal(true) }),
  /** The blob is in place and was verified. */
  z.object({ blob: digestSchema, done: z.literal(true) }),
]);

type JournalRecord = z.infer<typeof recordSchema>;

/** Where the journal of the bundle that will be at `path` is. */
export function journalPath(path: string): string {
  return `${path}.journal`;
}

/** @param path of the journal, where there is one. @throws EdgeBundleError FILE_FAILED */
export async function removeJournal(path: string): Promise<void> {
  try {
    await rm(path, { force: true });
  } catch (error) {
    throw fileError(error, `cannot remove '${path}'`);
  }
}

/** What a journal is about: it is worth nothing for another bundle, or where the blobs begin elsewhere in the file. */
export interface JournalSubject {
  readonly bundle: Digest;
  /** Where in the file the first blob is that is pushed: another version of zstd moves it. */
  readonly start: number;
  /** What each part of the file has; absent where it is one file. */
  readonly partBytes?: number;
}

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
 * another boot `isTrustworthy` is false, and who reads the journal checks the data and renews it.
 */
export class BuildJournal {
  readonly #path: string;
  readonly #subject: JournalSubject;
  #handle: FileHandle;
  #progress = new Map<Digest, BlobProgress>();
  #isTrustworthy = true;

  private constructor(path: string, subject: JournalSubject, handle: FileHandle) {
    this.#path = path;
    this.#subject = subject;
    this.#handle = handle;
  }

  /**
   * Opens the journal of `subject`, or begins it anew where there is none or it is about something else.
   *
   * @throws EdgeBundleError NO_SPACE, FILE_FAILED
   */
  static async open(path: string, subject: JournalSubject): Promise<BuildJournal> {
    const earlier = decodeBuildJournal(await readText(path), subject);
    const journal = new BuildJournal(path, subject, await openFile(path, earlier === undefined ? 'w' : 'a'));
    try {
      if (earlier !== undefined) {
        const boot = bootId();
        journal.#progress = earlier.progress;
        journal.#isTrustworthy = boot !== undefined && earlier.bootId === boot;
      } else {
        await journal.#append(headerOf(subject));
      }
      return journal;
    } catch (error) {
      await journal.close();
      throw error;
    }
  }

  /** Whether what it says is in place can be relied on without a look. */
  get isTrustworthy(): boolean {
    return this.#isTrustworthy;
  }

  progressOf(blob: Digest): BlobProgress | undefined {
    return this.#progress.get(blob);
  }

  /** @throws EdgeBundleError NO_SPACE, FILE_FAILED; the record does not count then */
  async record(record: JournalRecord): Promise<void> {
    await this.#append(JSON.stringify(record));
    applyRecord(this.#progress, record);
  }

  /**
   * Begins it anew, in this boot, with the blobs that have been found to be in place.
   *
   * @throws EdgeBundleError NO_SPACE, FILE_FAILED
   */
  async renew(found: Iterable<Digest>): Promise<void> {
    const lines = [headerOf(this.#subject)];
    const kept = new Map<Digest, BlobProgress>();
    for (const blob of found) {
      const progress = this.#progress.get(blob);
      if (progress === undefined) continue;
      kept.set(blob, progress);
      const records: JournalRecord[] = [...progress.frames.map((frame) => ({ blob, frame })), { blob, done: true }];
      lines.push(...records.map((record) => JSON.stringify(record)));
    }
    await writeFileAtomic(this.#path, `${lines.join('\n')}\n`);
    const handle = await openFile(this.#path, 'a');
    await this.#handle.close();
    this.#handle = handle;
    this.#progress = kept;
    this.#isTrustworthy = true;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async #append(line: string): Promise<void> {
    try {
      // A line that a full disk or a power cut left incomplete must not swallow this one.
      await this.#handle.appendFile(`\n${line}\n`);
    } catch (error) {
      throw fileError(error, `cannot write the journal '${this.#path}'`);
    }
  }
}

function headerOf(subject: JournalSubject): string {
  return JSON.stringify({ ...subject, bootId: bootId() });
}

/** What the text of a journal tells, lines that cannot be read left out; undefined where it is about something else. */
export function decodeBuildJournal(
  text: string,
  subject: JournalSubject,
): { readonly progress: Map<Digest, BlobProgress>; readonly bootId: string | undefined } | undefined {
  const [headerLine, ...lines] = text.split('\n').filter((line) => line !== '');
  const header = parseLine(headerSchema, headerLine);
  const continues =
    header?.bundle === subject.bundle && header.start === subject.start && header.partBytes === subject.partBytes;
  if (!continues) return undefined;
  const progress = new Map<Digest, BlobProgress>();
  for (const line of lines) {
    const record = parseLine(recordSchema, line);
    if (record !== undefined) applyRecord(progress, record);
  }
  return { progress, bootId: header.bootId };
}

function applyRecord(progress: Map<Digest, BlobProgress>, record: JournalRecord): void {
  const blob = progress.get(record.blob) ?? { done: false, bytes: 0, frames: [] };
  progress.set(record.blob, blob);
  if ('bytes' in record) blob.bytes = record.bytes;
  else if ('frame' in record) blob.frames.push(record.frame);
  else if ('done' in record) blob.done = true;
  else progress.delete(record.blob);
}

async function openFile(path: string, flags: 'a' | 'w'): Promise<FileHandle> {
  try {
    return await open(path, flags);
  } catch (error) {
    throw fileError(error, `cannot write the journal '${path}'`);
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return '';
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
