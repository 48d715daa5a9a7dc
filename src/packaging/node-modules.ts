import type { Dirent } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';

import * as z from 'zod';

import { EdgeBundleError } from '../errors.ts';
import { fileError } from '../files/file-error.ts';

/** A package of node_modules that the application needs when it runs. */
export interface NodeModule {
  readonly name: string;
  readonly version: string;
  /** As it says itself: an SPDX expression, most of the time. */
  readonly license: string | undefined;
  /** Below the application's folder: `node_modules/a/node_modules/b`. */
  readonly path: string;
  /** What runs, by path in the module: no types, source maps, tests or documentation. */
  readonly files: ReadonlyMap<string, Buffer>;
  /** Its licence's texts, by file name. */
  readonly licences: ReadonlyMap<string, Buffer>;
}

/** Of package.json, what says what a module needs. */
const manifestSchema = z.object({
  name: z.string(),
  version: z.string(),
  license: z.string().optional(),
  dependencies: z.record(z.string(), z.string()).optional(),
});

export type ModuleManifest = z.infer<typeof manifestSchema>;

const executed: ReadonlySet<string> = new Set(['.js', '.cjs', '.mjs', '.json', '.wasm', '.node']);
/** At the top of a module only: deeper down `doc` may well be code. */
const unneeded: ReadonlySet<string> = new Set([
  ...['test', 'tests', '__tests__', 'doc', 'docs', 'example', 'examples', 'bench', 'benchmark', 'benchmarks'],
  ...['coverage', 'node_modules', 'src'],
]);
const licenceName = /^(?:licen[cs]e|copying|copyright|notice)(?:[.-].*)?$/i;

/**
 * The modules that `root` needs to run, each once, in the order of their paths.
 *
 * @param without modules that are left out, and what only they need
 * @throws EdgeBundleError FILE_FAILED where one is not installed or cannot be read
 */
export async function readNodeModules(root: string, without: ReadonlySet<string>): Promise<readonly NodeModule[]> {
  const modules = new Map<string, NodeModule>();
  const visit = async (from: string, manifest: ModuleManifest): Promise<void> => {
    for (const name of Object.keys(manifest.dependencies ?? {}).sort()) {
      if (without.has(name)) continue;
      const path = await findModule(root, from, name);
      if (modules.has(path)) continue;
      const needed = await readManifest(join(root, path));
      modules.set(path, await readModule(root, path, needed));
      await visit(path, needed);
    }
  };
  await visit('', await readManifest(root));
  return [...modules.values()].sort((one, other) => (one.path < other.path ? -1 : 1));
}

export async function readManifest(folder: string): Promise<ModuleManifest> {
  const path = join(folder, 'package.json');
  try {
    return manifestSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    throw fileError(error, `cannot read '${path}'`);
  }
}

/** As Node.js looks for it (nodejs.org, "Loading from node_modules folders"), but not above `root`. */
async function findModule(root: string, from: string, name: string): Promise<string> {
  for (let folder = from; ; folder = dirname(folder) === '.' ? '' : dirname(folder)) {
    const path = join(folder, 'node_modules', name);
    const found = await stat(join(root, path, 'package.json')).catch(() => undefined);
    if (found !== undefined) return path;
    if (folder === '') {
      throw new EdgeBundleError(
        'FILE_FAILED',
        `the module '${name}', which '${from || 'edge-bundle'}' needs, is not in '${root}'`,
        {
          hint: 'Run npm ci.',
        },
      );
    }
  }
}

async function readModule(root: string, path: string, { name, version, license }: ModuleManifest): Promise<NodeModule> {
  const files = new Map<string, Buffer>();
  const licences = new Map<string, Buffer>();
  const visit = async (below: string): Promise<void> => {
    const entries = await readdir(join(root, path, below), { withFileTypes: true });
    for (const entry of entries.sort((one, other) => (one.name < other.name ? -1 : 1))) {
      const file = join(below, entry.name);
      if (entry.isDirectory() && !(below === '' && unneeded.has(entry.name))) await visit(file);
      if (isExecuted(entry)) files.set(file, await readFile(join(root, path, file)));
      if (below === '' && entry.isFile() && licenceName.test(entry.name)) {
        licences.set(entry.name, await readFile(join(root, path, file)));
      }
    }
  };
  try {
    await visit('');
  } catch (error) {
    throw fileError(error, `cannot read the module '${name}'`);
  }
  return { name, version, license, path, files, licences };
}

function isExecuted(entry: Dirent): boolean {
  return entry.isFile() && executed.has(extname(entry.name)) && !/^\.|^package-lock\.json$/.test(entry.name);
}
