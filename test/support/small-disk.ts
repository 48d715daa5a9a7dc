import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Why no file system can be mounted here; undefined where it can. */
export const whyNoMount: string | undefined = tryMount();

/** Runs `task` with the mount point of an empty tmpfs of its own. */
export async function withSmallDisk(sizeBytes: number, task: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'edge-bundle-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'tmpfs', folder], { stdio: 'pipe' });
  try {
    await task(folder);
  } finally {
    execFileSync('umount', ['--lazy', folder]);
    rmdirSync(folder);
  }
}

/** From here on, nothing can be written to the file system at `folder`. */
export function makeReadOnly(folder: string): void {
  execFileSync('mount', ['-o', 'remount,ro', folder]);
}

function tryMount(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'edge-bundle-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder], { stdio: 'pipe' });
    execFileSync('umount', [folder], { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    return `mounting a tmpfs is not permitted here: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    rmdirSync(folder);
  }
}
