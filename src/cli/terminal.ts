import type { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';

import { abortedError, systemErrorCode } from '../errors.ts';
import { fileError } from '../files/file-error.ts';

/** What a command touches of its process; a test gives streams of its own. */
export interface Terminal {
  readonly stdin: Readable;
  readonly stdout: Writable & { readonly columns?: number | undefined };
  readonly stderr: Writable & { readonly isTTY?: boolean | undefined };
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Aborted by SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
}

const readInputs = new WeakMap<Readable, Promise<string>>();

/**
 * All of standard input, for everyone in a command who asks: it comes once only.
 *
 * @throws EdgeBundleError FILE_FAILED, ABORTED
 */
export function readStandardInput(terminal: Terminal): Promise<string> {
  const reading = readInputs.get(terminal.stdin) ?? readToEnd(terminal);
  readInputs.set(terminal.stdin, reading);
  return reading;
}

/** Nobody may ever write to it, so an interrupt must end the wait. */
async function readToEnd({ stdin, signal }: Terminal): Promise<string> {
  const stop = (): void => void stdin.destroy(abortedError(signal));
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    return await text(stdin);
  } catch (error) {
    throw fileError(error, 'cannot read standard input');
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** What writing ends with where the reader has gone away (`| head`). */
const isGone: ReadonlySet<string | undefined> = new Set(['EPIPE', 'ERR_STREAM_DESTROYED']);

/**
 * Writes all of `written`. A reader that has gone away is not an error.
 *
 * @throws EdgeBundleError NO_SPACE, FILE_FAILED
 */
export async function writeText(stream: Writable, written: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    stream.write(written, (error) => {
      if (error === null || error === undefined || isGone.has(systemErrorCode(error))) resolve();
      else reject(fileError(error, 'cannot write the result to standard output'));
    });
  });
}
