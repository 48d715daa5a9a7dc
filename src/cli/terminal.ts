import type { Readable, Writable } from 'node:stream';

/** What a command touches of its process; a test gives streams of its own. */
export interface Terminal {
  readonly stdin: Readable;
  readonly stdout: Writable & { readonly columns?: number | undefined };
  readonly stderr: Writable & { readonly isTTY?: boolean | undefined };
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Aborted by SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
}

/** Writes all of `text`. A reader that has gone away (`| head`) is not an error. */
export async function writeText(stream: Writable, text: string): Promise<void> {
  await new Promise<void>((resolve) => {
    stream.write(text, () => resolve());
  });
}
