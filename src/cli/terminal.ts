import type { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';

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

/** All of standard input, for everyone in a command who asks: it comes once only. */
export function readStandardInput({ stdin }: Terminal): Promise<string> {
  const reading = readInputs.get(stdin) ?? text(stdin);
  readInputs.set(stdin, reading);
  return reading;
}

/** Writes all of `written`. A reader that has gone away (`| head`) is not an error. */
export async function writeText(stream: Writable, written: string): Promise<void> {
  await new Promise<void>((resolve) => {
    stream.write(written, () => resolve());
  });
}
