import { createHash } from 'node:crypto';
import { type BigIntStats, lstatSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { systemErrorCode } from '../errors.ts';

/** File systems tell times to some milliseconds, or to two seconds: within these, a second change does not show. */
const settledMs = 2000n;
const maxEntries = 50_000;

/**
 * Stands for what is in files and folders, of which it reads only sizes and times: another stamp means that something may
 * have changed, the same one that nothing has. Links are followed to files, and not into folders.
 *
 * Undefined where that cannot be told: one of `paths` is not there, is no file or folder, or has changed in the last
 * two seconds; or there are more than 50,000 files.
 */
export function treeStamp(paths: readonly string[]): string | undefined {
  const hash = createHash('sha256');
  const latestMs = BigInt(Date.now()) - settledMs;
  let entries = 0;
  const visit = (path: string, isNamed: boolean): boolean => {
    entries += 1;
    const stats = isNamed ? statSync(path, { bigint: true }) : lstatSync(path, { bigint: true });
    if (entries > maxEntries || changedAfter(stats, latestMs)) return false;
    hash.update(`${path}\0${facts(stats)}`);
    if (stats.isDirectory()) return readdirSync(path).every((name) => visit(join(path, name), false));
    if (!stats.isSymbolicLink()) return stats.isFile() || !isNamed;
    const target = statSync(path, { bigint: true, throwIfNoEntry: false });
    hash.update(readlinkSync(path)).update(target === undefined ? '' : facts(target));
    return target === undefined || !changedAfter(target, latestMs);
  };
  try {
    return paths.every((path) => visit(path, true)) ? hash.digest('hex') : undefined;
  } catch (error) {
    // Whoever reads them says what is wrong.
    if (systemErrorCode(error) === undefined) throw error;
    return undefined;
  }
}

function facts({ mode, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${mode} ${size} ${mtimeNs} ${ctimeNs}\n`;
}

/** The time of modification can be set by anyone, the time of change by nobody. */
function changedAfter({ ctimeMs }: BigIntStats, latestMs: bigint): boolean {
  return ctimeMs > latestMs;
}
