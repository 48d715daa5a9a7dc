import { readFile } from 'node:fs/promises';

import { fileError } from '../files/file-error.ts';

/** The text of a file that an option names. `what` says in the error what it should hold. */
export async function readTextFile(path: string, what: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: unknown) => {
    throw fileError(error, `cannot read ${what} in '${path}'`);
  });
}
