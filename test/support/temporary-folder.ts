import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll } from 'vitest';

const folders: string[] = [];

afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

/** A folder that is removed at the end of the test file. */
export async function temporaryFolder(): Promise<string> {
  return makeFolder(tmpdir());
}

/** One in memory, where there is such a place: for tests whose many flushes would keep a disk busy. */
export async function memoryFolder(): Promise<string> {
  return makeFolder(existsSync('/dev/shm') ? '/dev/shm' : tmpdir());
}

async function makeFolder(parent: string): Promise<string> {
  const folder = await mkdtemp(join(parent, 'edge-bundle-'));
  folders.push(folder);
  return folder;
}
