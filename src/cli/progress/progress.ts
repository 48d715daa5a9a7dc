import type { CopyEvent } from '../../copy/copier.ts';

/** Tells the user how far a command is, on stderr. */
export interface Progress {
  /** How much there is in all, in bytes; `presentBytes` of it are done already. */
  expect(totalBytes: number, presentBytes?: number): void;
  copy(event: CopyEvent): void;
  /** So many bytes more are done, of no blob in particular. */
  advance(bytes: number): void;
  /** Something was done: `event` and `fields` are for machines, `text` for people. */
  note(event: string, text: string, fields?: Readonly<Record<string, unknown>>): void;
  /** Something that the user should know of, and that stops nothing. */
  warn(text: string): void;
  /** Call it before anything else is written, and always. */
  end(): void;
}
