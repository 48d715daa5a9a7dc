import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';

import type { Processes } from '../../support/processes.ts';
import { measure } from './measure.ts';
import { ensure, run, say } from './tell.ts';

const rounds = 5;
const mostTimes = 1.5;
const content = 'opt/spectrocloud/content';

/**
 * What `iso create` costs, beside `cp` of what it makes: in turns, because others may use the machine; both from the page cache, onto
 * the same disk, and both until it is on the disk.
 *
 * @returns the ISO: the bundle is in it as one file
 */
export async function proveCreate(processes: Processes, cache: string, bundle: string): Promise<string> {
  const [iso, copy] = [join(cache, 'data.iso'), join(cache, 'copy.iso')];
  // What was written before must not be written to the disk meanwhile.
  const settle = (): Promise<unknown> => processes.run('sync', []);
  const options = ['--out', iso, '--part-size', '5GB', '--quiet'];
  await rm(iso, { force: true });
  await run('iso', 'create', bundle, ...options);
  const { size } = await stat(iso);
  const ratios: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    await settle();
    const copying = await processes.run('sh', ['-c', 'cp --reflink=never "$1" "$2" && sync "$2"', '-', iso, copy]);
    await rm(iso);
    await settle();
    const { seconds, writtenBytes, peakBytes } = await measure(['iso', 'create', bundle, ...options]);
    await rm(copy);
    const copySeconds = copying.durationMs / 1000;
    ratios.push(seconds / copySeconds);
    say(`  iso create took ${seconds.toFixed(1)} s, cp and sync ${copySeconds.toFixed(1)} s`);
    if (round > 0) continue;
    ensure(writtenBytes / size <= 1.02, `iso create writes ${(writtenBytes / size).toFixed(4)} times the ISO`);
    ensure(peakBytes < 200_000_000, `in ${Math.round(peakBytes / 1e6)} MB of memory`);
  }
  const median = ratios.toSorted((one, other) => one - other)[Math.floor(rounds / 2)] ?? Infinity;
  say(`  it takes ${median.toFixed(2)} times as long as cp and sync of the ISO; the limit is ${mostTimes} times`);
  // What comes next is proved all the same.
  if (median > mostTimes) {
    say('  NOT SO: it takes too long');
    process.exitCode = 1;
  }
  console.log((await run('iso', 'inspect', iso, '--quiet')).replace(/^/gm, '    '));
  return iso;
}

/** Another program than xorriso reads the file of more than 4 GiB, which has several extents (ISO 9660 level 3). */
export async function proveLargeFile(processes: Processes, iso: string, bundle: string): Promise<void> {
  const path = `${content}/${basename(bundle)}_part00`;
  const read = 'bsdtar -xOf "$1" "$2" | sha256sum | cut -d " " -f 1';
  const { stdout } = await processes.run('sh', ['-c', read, '-', iso, path]);
  ensure(stdout.trim() === (await hashFrom(bundle, 0)), 'libarchive reads the same bytes of that file');
}

/** SHA-256 of a file from byte `start` to its end, in hex. */
export async function hashFrom(path: string, start: number): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { start, highWaterMark: 1024 * 1024 }), hash);
  return hash.digest('hex');
}
