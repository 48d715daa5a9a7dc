import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';

import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError, systemErrorCode, throwIfAborted } from '../errors.ts';
import { fileError } from '../files/file-error.ts';
import { writeArchive } from '../files/write-archive.ts';
import { readMetadata } from './chart-metadata.ts';
import { helmIgnore, type IgnoreRule } from './helm-ignore.ts';

const maxFiles = 20_000;
const maxBytes = 100 * 1024 * 1024;

/**
 * The `.tgz` of a chart's folder, as `helm package` makes it, but with the same bytes for the same files. What its
 * `.helmignore` names is left out. Links to files within the folder are followed; others are refused.
 *
 * @throws EdgeBundleError CHART_INVALID, FILE_FAILED, ABORTED
 */
export async function packChart(folder: string, options: OperationOptions = {}): Promise<Buffer> {
  throwIfAborted(options.signal);
  const root = await realpath(folder).catch((error: unknown) => {
    throw fileError(error, `cannot read the chart '${folder}'`);
  });
  const files = new Map<string, Buffer>();
  const found = findFiles(root, { where: folder, isIgnored: await ignoreRule(root, folder) });
  let bytes = 0;
  for await (const { path, sizeBytes } of found) {
    throwIfAborted(options.signal);
    bytes += sizeBytes;
    if (bytes > maxBytes || files.size >= maxFiles) {
      throw invalid(
        folder,
        `it has more than ${maxBytes} bytes or ${maxFiles} files`,
        'Is it the folder of one chart?',
      );
    }
    files.set(path, await read(join(root, path), folder));
  }
  const { name } = readMetadata(files, folder);
  if (!/^[^/\\]+$/.test(name) || name === '..') throw invalid(folder, `its name is ${JSON.stringify(name)}`);
  return writeArchive(new Map([...files].map(([path, content]) => [`${name}/${path}`, content])));
}

interface Search {
  readonly where: string;
  readonly isIgnored: IgnoreRule;
}

async function* findFiles(
  root: string,
  search: Search,
  below = '',
): AsyncGenerator<{ readonly path: string; readonly sizeBytes: number }> {
  const { where, isIgnored } = search;
  const entries = await readdir(join(root, below), { withFileTypes: true }).catch((error: unknown) => {
    throw fileError(error, `cannot read the chart '${where}'`);
  });
  for (const entry of entries) {
    const path = `${below}${entry.name}`;
    if (isIgnored(path, entry.isDirectory())) continue;
    if (entry.isDirectory()) yield* findFiles(root, search, `${path}/`);
    else yield { path, sizeBytes: await sizeOf(root, path, where) };
  }
}

/** Of a regular file that is in `root` in truth too: a link out of it would carry a file of this machine away. */
async function sizeOf(root: string, path: string, where: string): Promise<number> {
  try {
    const target = await realpath(join(root, path));
    if (!target.startsWith(root + sep)) throw invalid(where, `'${path}' is a link to what is not in the chart`);
    const facts = await stat(target);
    if (!facts.isFile()) throw invalid(where, `'${path}' is neither a file nor a folder`);
    return facts.size;
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') throw invalid(where, `'${path}' is a link to nothing`);
    throw fileError(error, `cannot read '${path}' of the chart '${where}'`);
  }
}

async function ignoreRule(root: string, where: string): Promise<IgnoreRule> {
  const name = '.helmignore';
  const names = await readdir(root).catch((error: unknown) => {
    throw fileError(error, `cannot read the chart '${where}'`);
  });
  if (!names.includes(name)) return helmIgnore('');
  await sizeOf(root, name, where);
  return helmIgnore((await read(join(root, name), where)).toString('utf8'));
}

async function read(path: string, where: string): Promise<Buffer> {
  return readFile(path).catch((error: unknown) => {
    throw fileError(error, `cannot read the chart '${where}'`);
  });
}

function invalid(where: string, reason: string, hint?: string): EdgeBundleError {
  return new EdgeBundleError('CHART_INVALID', `cannot pack the chart '${where}': ${reason}`, {
    ...(hint === undefined ? {} : { hint }),
  });
}
