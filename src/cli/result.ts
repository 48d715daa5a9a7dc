import type { Terminal } from './terminal.ts';
import { writeText } from './terminal.ts';

/** Writes a command's result to stdout: one JSON document, or text for people. */
export async function writeResult<T>(
  terminal: Terminal,
  output: 'json' | 'table',
  document: T,
  format: (document: T) => string,
): Promise<void> {
  const text = output === 'json' ? `${JSON.stringify(document, undefined, 2)}\n` : format(document);
  await writeText(terminal.stdout, text);
}
