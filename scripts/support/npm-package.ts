import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { list } from 'tar';

import type { Processes } from './processes.ts';

export interface NpmPackage {
  readonly name: string;
  readonly version: string;
  /** What package-lock.json would pin: `sha512-…` of the tarball. */
  readonly integrity: string;
}

/** The files of a package of npm's registry, by their paths in it, in that order. @throws Error where its integrity is another */
export async function npmFiles(
  processes: Processes,
  { name, version, integrity }: NpmPackage,
  folder: string,
): Promise<ReadonlyMap<string, Buffer>> {
  await mkdir(folder, { recursive: true });
  const tarball = join(folder, `${name.replace('@', '').replace('/', '-')}-${version}.tgz`);
  await processes.run('npm', ['pack', `${name}@${version}`, '--silent', '--pack-destination', folder]);
  const actual = `sha512-${createHash('sha512')
    .update(await readFile(tarball))
    .digest('base64')}`;
  if (actual !== integrity) throw new Error(`${name}@${version}: expected ${integrity}, npm's registry gave ${actual}`);

  const files = new Map<string, Buffer>();
  await list({
    file: tarball,
    onReadEntry: (entry) => {
      const chunks: Buffer[] = [];
      entry.on('data', (chunk: Buffer) => chunks.push(chunk));
      entry.on('end', () => files.set(entry.path.replace(/^package\//, ''), Buffer.concat(chunks)));
    },
  });
  return new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1)));
}
