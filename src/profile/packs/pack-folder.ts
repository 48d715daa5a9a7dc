import type { Dirent } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { EdgeBundleError, isEdgeBundleError, throwIfAborted } from '../../errors.ts';
import type { OperationOptions } from '../../content/store.ts';
import { fileError } from '../../files/file-error.ts';
import {
  otherVersionsOnly,
  type PackDefinition,
  type PackQuery,
  type PackSource,
  parsePackJson,
} from './pack-definition.ts';
import { problem } from '../problems.ts';
import { packageFiles, readPackageName } from '../inputs/package-name.ts';
import { readChartPack } from './chart-pack.ts';
import { readPack, unpackPack } from './read-pack.ts';

interface IndexedPack {
  readonly name: string;
  readonly version: string;
  readonly path: string;
  /** Whether it is a chart alone. */
  readonly isChart: boolean;
}

interface PackIndex {
  /** Sorted by path. */
  readonly packs: readonly IndexedPack[];
  /** What looks like a pack and cannot be read. */
  readonly broken: readonly EdgeBundleError[];
}

const maxDepth = 8;
const maxEntries = 100_000;
const maxPackJsonBytes = 1024 * 1024;
const maxArchiveBytes = 64 * 1024 * 1024;

/**
 * A folder of packs at any depth, as pack-central has them (`packs/<folder>/pack.json`), and of their `.tar.gz`; and of charts,
 * for the packs that are nothing else. Names and versions are those of `pack.json` and `Chart.yaml`; folders and files may
 * be named otherwise. Of a folder, only that file is read before the pack is asked for.
 */
export class PackFolder implements PackSource {
  readonly #folder: string;
  #index: Promise<PackIndex> | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** @throws EdgeBundleError PACK_NOT_FOUND, PROFILE_INVALID, ARCHIVE_INVALID, FILE_FAILED, ABORTED */
  async find(query: PackQuery, { signal }: OperationOptions = {}): Promise<PackDefinition | undefined> {
    throwIfAborted(signal);
    this.#index ??= indexPacks(this.#folder);
    const { packs, broken } = await this.#index;
    throwIfAborted(signal);
    const all = packs.filter(({ name }) => name === query.name);
    const charts = query.isChart === true ? all.filter(({ isChart }) => isChart) : [];
    const named = charts.length > 0 ? charts : all.filter(({ isChart }) => !isChart);
    const found = [query.version, query.tag]
      .map((wanted) => named.filter(({ version }) => version === wanted))
      .find((matching) => matching.length > 0);
    if (found !== undefined)
      return onlyOne(
        await Promise.all(found.map((each) => (each.isChart ? readChartPack(each) : readPack(each.path)))),
      );
    if (named.length > 0) {
      throw otherVersionsOnly(
        query,
        `'${this.#folder}'`,
        named.map(({ version }) => version),
      );
    }
    if (broken.length > 0) {
      const what = `the pack '${query.name}' is not in '${this.#folder}', where ${broken.length} packs cannot be read`;
      throw new EdgeBundleError('PACK_NOT_FOUND', what, { failures: broken, cause: broken[0] });
    }
    return undefined;
  }
}

function onlyOne(packs: readonly PackDefinition[]): PackDefinition | undefined {
  const [first, ...others] = packs;
  const other = others.find(({ digest }) => digest !== first?.digest);
  if (first === undefined || other === undefined) return first;
  throw problem(`pack '${first.name}' ${first.version}`, `'${first.origin}' and '${other.origin}' differ`, {
    hint: 'Remove the one that is not meant.',
  });
}

async function indexPacks(folder: string): Promise<PackIndex> {
  const packs: IndexedPack[] = [];
  const broken: EdgeBundleError[] = [];
  let entryCount = 0;
  const visit = async (path: string, depth: number): Promise<void> => {
    const entries = await list(path);
    entryCount += entries.length;
    if (entryCount > maxEntries) throw problem(`'${folder}'`, `has more than ${maxEntries} files and folders`);
    if (entries.some((entry) => entry.name === 'pack.json' && !entry.isDirectory())) {
      await add(path, () => readNames(join(path, 'pack.json'), 'pack'));
      return;
    }
    if (entries.some((entry) => entry.name === 'Chart.yaml' && !entry.isDirectory())) {
      await add(path, () => readNames(join(path, 'Chart.yaml'), 'chart'));
      return;
    }
    for (const entry of entries) {
      const child = join(path, entry.name);
      if (entry.name.startsWith('.')) continue;
      if (entry.isDirectory() && depth < maxDepth) await visit(child, depth + 1);
      else if (entry.isFile() && /\.(tar\.gz|tgz)$/.test(entry.name)) await add(child, () => readArchived(child));
    }
  };
  const add = async (path: string, read: () => Promise<Omit<IndexedPack, 'path'> | undefined>): Promise<void> => {
    try {
      const pack = await read();
      if (pack !== undefined) packs.push({ ...pack, path });
    } catch (error) {
      if (!isEdgeBundleError(error, 'PROFILE_INVALID', 'ARCHIVE_INVALID')) throw error;
      broken.push(error);
    }
  };
  await visit(folder, 0);
  return { packs: packs.sort((one, other) => (one.path < other.path ? -1 : 1)), broken };
}

async function list(path: string): Promise<Dirent[]> {
  try {
    return await readdir(path, { withFileTypes: true });
  } catch (error) {
    throw fileError(error, `cannot read the folder of packs '${path}'`);
  }
}

async function readNames(path: string, kind: 'pack' | 'chart'): Promise<Omit<IndexedPack, 'path'> | undefined> {
  try {
    const { size } = await stat(path);
    if (size > maxPackJsonBytes) throw problem(`'${path}'`, `has ${size} bytes; at most ${maxPackJsonBytes} are read`);
    return namesIn(await readFile(path), kind, `'${path}'`);
  } catch (error) {
    throw fileError(error, `cannot read '${path}'`);
  }
}

/** Undefined where it is a chart that is none: others than packs may lie in a folder of packs. */
function namesIn(bytes: Buffer, kind: 'pack' | 'chart', where: string): Omit<IndexedPack, 'path'> | undefined {
  try {
    const { name, version } = kind === 'pack' ? parsePackJson(bytes, where) : readPackageName(kind, bytes, where);
    return { name, version, isChart: kind === 'chart' };
  } catch (error) {
    if (kind === 'pack' || !isEdgeBundleError(error, 'PROFILE_INVALID')) throw error;
    return undefined;
  }
}

/** Undefined where the archive is something else. */
async function readArchived(path: string): Promise<Omit<IndexedPack, 'path'> | undefined> {
  try {
    const { size } = await stat(path);
    if (size > maxArchiveBytes) throw problem(`'${path}'`, `has ${size} bytes; at most ${maxArchiveBytes} are read`);
    const files = await unpackPack(await readFile(path), path);
    for (const { kind, file } of packageFiles) {
      const bytes = files.get(file);
      if (bytes !== undefined) return namesIn(bytes, kind, `'${path}', ${file}`);
    }
    return undefined;
  } catch (error) {
    throw fileError(error, `cannot read '${path}'`);
  }
}
