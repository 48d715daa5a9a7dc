import type { Writable } from 'node:stream';

import type { CopyEvent } from '../../copy/copier.ts';
import { redact } from '../../redaction.ts';
import type { Progress } from './progress.ts';
import { Transfer } from './transfer.ts';

const intervalMs = 5_000;

/** One line an event, for logs: plain text, or JSON for machines. How far it is comes every few seconds. */
export class LineProgress implements Progress {
  readonly #stream: Writable;
  readonly #log: 'text' | 'json';
  readonly #transfer = new Transfer();
  #lastMs = performance.now();

  constructor(stream: Writable, log: 'text' | 'json') {
    this.#stream = stream;
    this.#log = log;
  }

  expect(totalBytes: number, presentBytes?: number): void {
    this.#transfer.expect(totalBytes, presentBytes);
    this.#lastMs = performance.now();
  }

  copy(event: CopyEvent): void {
    this.#transfer.add(event);
    this.#tick();
  }

  advance(bytes: number): void {
    this.#transfer.advance(bytes);
    this.#tick();
  }

  note(event: string, text: string, fields: Readonly<Record<string, unknown>> = {}): void {
    this.#write(text, { level: 'info', event, message: text, ...fields });
  }

  warn(text: string): void {
    this.#write(`warning: ${text}`, { level: 'warning', event: 'warning', message: text });
  }

  end(): void {
    this.#lastMs = Infinity;
  }

  #tick(): void {
    const { doneBytes, totalBytes, bytesPerSecond } = this.#transfer;
    const nowMs = performance.now();
    if (totalBytes === undefined || nowMs - this.#lastMs < intervalMs) return;
    this.#lastMs = nowMs;
    this.note('progress', this.#transfer.summary(), { doneBytes, totalBytes, bytesPerSecond });
  }

  #write(text: string, record: Readonly<Record<string, unknown>>): void {
    this.#stream.write(`${redact(this.#log === 'json' ? JSON.stringify(record) : text)}\n`);
  }
}
