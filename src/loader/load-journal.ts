import { createHash } from 'node:crypto';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import * as z from 'zod';

import { digestSchema } from '../content/descriptor.ts';
import type { Digest } from '../content/digest.ts';
import { errorMessage, isEdgeBundleError, systemErrorCode } from '../errors.ts';
import { writeFileAtomic } from '../files/atomic-file.ts';
import { fileError } from '../files/file-error.ts';
import { FileLock } from '../files/file-lock.ts';

/** What a journal is about: it says nothing of another bundle, registry or project. */
export interface LoadSubject {
  readonly bundle: Digest;
  /** Host and port. */
  readonly registry: string;
  readonly project: string;
  readonly packsProject: string;
}

const subjectSchema = z.object({
  journal: z.literal(1),
  bundle: digestSchema,
  registry: z.string(),
  project: z.string(),
  packsProject: z.string(),
});

const recordSchema = z.union([
  /** All of an image is in the registry, its tags too. */
  z.object({ image: digestSchema, repository: z.string(), complete: z.literal(true) }),
  /** An upload has begun, and goes on there. */
  z.object({ blob: digestSchema, repository: z.string(), location: z.string() }),
  /** It has ended, well or not. */
  z.object({ blob: digestSchema, repository: z.string(), ended: z.literal(true) }),
]);

type JournalRecord = z.infer<typeof recordSchema>;

/** An upload that was begun, and of whose end nothing is known. */
export interface OpenUpload {
  readonly repository: string;
  readonly blob: Digest;
  readonly location: string;
}

export interface OpenJournalOptions {
  /** Is called, once, where the load goes on without a journal, with the reason. */
  readonly onLost: (reason: string) => void;
}

/**
 * What a load has brought into a registry, in a file on the host: lines of JSON, each flushed to the disk, so that a load that
 * lost its power goes on where it was. It only saves work: the registry is asked about everything in the end, and where the file
 * is damaged, cannot be written any more, or is in use by another load, this one goes on without it.
 */
export class LoadJournal {
  readonly #path: string;
  readonly #onLost: OpenJournalOptions['onLost'];
  readonly #complete = new Set<string>();
  readonly #uploads = new Map<string, OpenUpload>();
  #lock: FileLock | undefined;
  #file: FileHandle | undefined;
  /** The lines that wait for the next flush, and that flush. */
  #waiting: string[] = [];
  #flush: Promise<void> = Promise.resolve();

  private constructor(path: string, { onLost }: OpenJournalOptions) {
    this.#path = path;
    this.#onLost = onLost;
  }

  /** It never fails: a journal that cannot be had remembers nothing beyond this run. */
  static async open(folder: string, subject: LoadSubject, options: OpenJournalOptions): Promise<LoadJournal> {
    const path = join(folder, `load-${nameOf(subject)}.journal`);
    const journal = new LoadJournal(path, options);
    try {
      journal.#lock = await FileLock.acquire(`${path}.lock`);
      await journal.#begin(subject);
    } catch (error) {
      await journal.#lose(error);
    }
    return journal;
  }

  /** For a load without a journal. */
  static none(): LoadJournal {
    return new LoadJournal('', { onLost: () => undefined });
  }

  isComplete(repository: string, image: Digest): boolean {
    return this.#complete.has(keyOf(repository, image));
  }

  /** What was begun by an earlier run, or by this one, and not ended. */
  get openUploads(): readonly OpenUpload[] {
    return [...this.#uploads.values()];
  }

  /** Where an upload goes on, if one has begun. */
  uploadOf(repository: string, blob: Digest): string | undefined {
    return this.#uploads.get(keyOf(repository, blob))?.location;
  }

  /** Returns when that is on the disk. */
  async completed(repository: string, image: Digest): Promise<void> {
    this.#complete.add(keyOf(repository, image));
    await this.#write({ image, repository, complete: true });
  }

  /** Returns when that is on the disk. */
  async uploadBegan(upload: OpenUpload): Promise<void> {
    const { repository, blob, location } = upload;
    if (this.uploadOf(repository, blob) === location) return;
    this.#uploads.set(keyOf(repository, blob), upload);
    await this.#write({ blob, repository, location });
  }

  async uploadEnded(repository: string, blob: Digest): Promise<void> {
    if (this.#uploads.delete(keyOf(repository, blob))) await this.#write({ blob, repository, ended: true });
  }

  /** Lets another load have it. */
  async close(): Promise<void> {
    await this.#flush;
    await this.#file?.close().catch(() => undefined);
    this.#file = undefined;
    await this.#lock?.release().catch(() => undefined);
    this.#lock = undefined;
  }

  /** Reads what is there, and writes it anew without what is void, so that it does not grow with each run. */
  async #begin(subject: LoadSubject): Promise<void> {
    for (const record of decodeLoadJournal(await readText(this.#path), subject)) this.#apply(record);
    const lines = [
      JSON.stringify({ journal: 1, ...subject }),
      ...[...this.#complete].map((key) => {
        const [repository = '', image = ''] = key.split('@');
        return JSON.stringify({ image, repository, complete: true });
      }),
      ...[...this.#uploads.values()].map((upload) => JSON.stringify(upload)),
    ];
    await writeFileAtomic(this.#path, `${lines.join('\n')}\n`, { mode: 0o600 });
    this.#file = await open(this.#path, 'a');
  }

  #apply(record: JournalRecord): void {
    const { repository } = record;
    if ('image' in record) this.#complete.add(keyOf(repository, record.image));
    else if ('location' in record) this.#uploads.set(keyOf(repository, record.blob), record);
    else this.#uploads.delete(keyOf(repository, record.blob));
  }

  /** Several that come while one flush is under way share the next one. */
  async #write(record: JournalRecord): Promise<void> {
    if (this.#file === undefined) return;
    this.#waiting.push(JSON.stringify(record));
    this.#flush = this.#flush.then(() => this.#writeWaiting());
    await this.#flush;
  }

  async #writeWaiting(): Promise<void> {
    const lines = this.#waiting.splice(0);
    if (lines.length === 0 || this.#file === undefined) return;
    try {
      // A line that a power cut left incomplete must not swallow this one.
      await this.#file.appendFile(`\n${lines.join('\n')}\n`);
      await this.#file.datasync();
    } catch (error) {
      await this.#lose(fileError(error, `cannot write the journal '${this.#path}'`));
    }
  }

  async #lose(error: unknown): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close().catch(() => undefined);
    await this.#lock?.release().catch(() => undefined);
    this.#lock = undefined;
    const isInUse = isEdgeBundleError(error, 'LOCKED');
    this.#onLost(isInUse ? `another load has the journal '${this.#path}'` : errorMessage(error));
  }
}

function nameOf(subject: LoadSubject): string {
  const { bundle, registry, project, packsProject } = subject;
  const text = JSON.stringify([bundle, registry, project, packsProject]);
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

function keyOf(repository: string, digest: Digest): string {
  return `${repository}@${digest}`;
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return '';
    throw fileError(error, `cannot read the journal '${path}'`);
  }
}

/** What the text of a journal tells: nothing where it is about something else; without the lines that cannot be read. */
export function decodeLoadJournal(text: string, subject: LoadSubject): readonly JournalRecord[] {
  const [first, ...lines] = text.split('\n').filter((line) => line !== '');
  const header = parseLine(subjectSchema, first);
  if (header === undefined || nameOf(header) !== nameOf(subject)) return [];
  return lines.map((line) => parseLine(recordSchema, line)).filter((record) => record !== undefined);
}

function parseLine<T>(schema: z.ZodType<T>, line: string | undefined): T | undefined {
  try {
    return schema.parse(JSON.parse(line ?? ''));
  } catch {
    return undefined;
  }
}
