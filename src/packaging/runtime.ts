import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { EdgeBundleError, isEdgeBundleError } from '../errors.ts';
import { readArchive } from '../files/read-archive.ts';
import { withTemporaryFolder } from '../files/temporary-folder.ts';
import type { ComponentCache } from './component-cache.ts';
import { components, type LoaderArchitecture } from './components.ts';
import { runTool } from './run-tool.ts';
import { elfMachine, stripElf } from './strip-elf.ts';

export interface RuntimeOptions {
  readonly architecture: LoaderArchitecture;
  readonly cache: ComponentCache;
  readonly signal?: AbortSignal | undefined;
}

/** A program or library of the target, and the texts that have to go with it. */
export interface Runtime {
  /** By their names in the folder that they go to. */
  readonly files: ReadonlyMap<string, Buffer>;
  /** By their paths below LICENSES/. */
  readonly licences: ReadonlyMap<string, Buffer>;
}

const maxNodeBytes = 400 * 1024 * 1024;
const debianFolders: Readonly<Record<LoaderArchitecture, string>> = {
  amd64: 'x86_64-linux-gnu',
  arm64: 'aarch64-linux-gnu',
};

/**
 * Node.js, without its symbols.
 *
 * @throws EdgeBundleError as `ComponentCache.npmPackage`; UNSUPPORTED where the package is not what it says
 */
export async function readNode({ architecture, cache }: RuntimeOptions): Promise<Runtime> {
  const { node } = components[architecture];
  const archive = await cache.npmPackage(node);
  const files = await readArchive(archive, { where: node.name, maxBytes: maxNodeBytes });
  const program = stripElf(ensureFor(architecture, memberOf(files, 'package/bin/node', node.name), node.name));
  return {
    files: new Map([['node', program]]),
    licences: new Map([['node/LICENSE', memberOf(files, 'package/LICENSE', node.name)]]),
  };
}

/**
 * libstdc++ and libgcc, for hosts without C++.
 *
 * @throws EdgeBundleError as `ComponentCache.debianPackages`; UNSUPPORTED where a package is not what it says
 */
export async function readSharedLibraries({ architecture, cache, signal }: RuntimeOptions): Promise<Runtime> {
  const packages = await cache.debianPackages(components[architecture].packages, architecture);
  const libraries = debianFolders[architecture];
  return withTemporaryFolder(async (folder) => {
    const root = join(folder, 'root');
    for (const [name, content] of Object.entries(packages)) {
      const file = join(folder, 'package.deb');
      await writeFile(file, content);
      await runTool('dpkg-deb', ['-x', file, root], { folder, signal }).catch((error: unknown) => {
        throw isEdgeBundleError(error) ? error.about(name) : error;
      });
    }
    const read = (path: string): Promise<Buffer> => readFile(join(root, path));
    const readLibrary = async (path: string): Promise<Buffer> => ensureFor(architecture, await read(path), path);
    return {
      files: new Map([
        ['libgcc_s.so.1', await readLibrary(`lib/${libraries}/libgcc_s.so.1`)],
        ['libstdc++.so.6', await readLibrary(`usr/lib/${libraries}/libstdc++.so.6`)],
      ]),
      licences: new Map([
        ['gcc-runtime/copyright', await read('usr/share/doc/gcc-10-base/copyright')],
        ['gcc-runtime/GPL-3', await read('usr/share/common-licenses/GPL-3')],
        ['gcc-runtime/LGPL-3', await read('usr/share/common-licenses/LGPL-3')],
      ]),
    };
  });
}

function memberOf(files: ReadonlyMap<string, Buffer>, path: string, where: string): Buffer {
  const found = files.get(path);
  if (found === undefined) throw new EdgeBundleError('UNSUPPORTED', `${where} has no '${path}'`);
  return found;
}

function ensureFor(architecture: LoaderArchitecture, file: Buffer, where: string): Buffer {
  const machine = elfMachine(file);
  const expected = components[architecture].elfMachine;
  if (machine === expected) return file;
  throw new EdgeBundleError('UNSUPPORTED', `'${where}' is for ELF machine ${machine}; ${architecture} is ${expected}`);
}
