import type { Writable } from 'node:stream';

import { createLogUpdate } from 'log-update';

import type { CopyEvent } from '../../copy/copier.ts';
import { redact } from '../../redaction.ts';
import { shortDigest } from '../../report/summaries.ts';
import { formatBytes } from '../../report/units.ts';
import type { Progress } from './progress.ts';
import { Transfer } from './transfer.ts';

const refreshMs = 100;
const barWidth = 24;
const shownBlobs = 8;

/** A bar for each blob that is moving, and one for all, redrawn in place. What is noted stays above them. */
export class BarProgress implements Progress {
  readonly #stream: Writable;
  readonly #screen: ReturnType<typeof createLogUpdate>;
  readonly #transfer = new Transfer();
  #drawnMs = 0;

  constructor(stream: Writable) {
    this.#stream = stream;
    this.#screen = createLogUpdate(stream as NodeJS.WritableStream, { showCursor: true });
  }

  expect(totalBytes: number, presentBytes?: number): void {
    this.#transfer.expect(totalBytes, presentBytes);
  }

  copy(event: CopyEvent): void {
    this.#transfer.add(event);
    this.#tick();
  }

  advance(bytes: number): void {
    this.#transfer.advance(bytes);
    this.#tick();
  }

  note(_event: string, text: string): void {
    this.#print(text);
  }

  warn(text: string): void {
    this.#print(`warning: ${text}`);
  }

  end(): void {
    this.#screen.clear();
    this.#screen.done();
    this.#drawnMs = Infinity;
  }

  #tick(): void {
    const nowMs = performance.now();
    if (nowMs - this.#drawnMs < refreshMs) return;
    this.#drawnMs = nowMs;
    this.#screen(this.#draw());
  }

  #print(text: string): void {
    this.#screen.clear();
    this.#stream.write(`${redact(text)}\n`);
  }

  #draw(): string {
    const { running, doneBytes, totalBytes } = this.#transfer;
    const lines = running.slice(0, shownBlobs).map((blob) => {
      return `${shortDigest(blob.digest)} ${bar(blob.doneBytes, blob.totalBytes)} ${formatBytes(blob.totalBytes)}`;
    });
    if (running.length > shownBlobs) lines.push(`and ${running.length - shownBlobs} more`);
    const total = totalBytes === undefined ? ''.padEnd(barWidth + 2) : bar(doneBytes, totalBytes);
    return [...lines, `${'total'.padEnd(12)} ${total} ${this.#transfer.summary()}`].join('\n');
  }
}

function bar(done: number, total: number): string {
  const filled = total === 0 ? barWidth : Math.min(barWidth, Math.floor((done / total) * barWidth));
  return `[${'#'.repeat(filled)}${'.'.repeat(barWidth - filled)}]`;
}
