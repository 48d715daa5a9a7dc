import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { EdgeBundleError, systemErrorCode } from '../errors.ts';
import { fileError } from '../files/file-error.ts';
import { type ModuleManifest, type NodeModule, readManifest, readNodeModules } from './node-modules.ts';

/** The command line that is packaged: this one. */
export interface Application {
  readonly manifest: ModuleManifest;
  /** What runs, by path: `dist/cli/main.js`, `manifests/…`, `package.json`. */
  readonly files: ReadonlyMap<string, Buffer>;
  readonly modules: readonly NodeModule[];
  /** Starts it on the host; text in at signs is replaced. */
  readonly launcher: string;
  readonly licence: Buffer;
  /** Units, examples and schemas for the host, by path below share/. */
  readonly shared: ReadonlyMap<string, Buffer>;
}

/** The same place as seen from `src/` and from `dist/`. */
const installed = fileURLToPath(new URL('../../', import.meta.url));
const hostFolders = ['first-boot'];

/**
 * Reads the installation that this runs from. The packaged Node.js has zstd of its own, and so the addon is left out.
 *
 * @throws EdgeBundleError FILE_FAILED where it is not compiled or not complete
 */
export async function readApplication(root = installed): Promise<Application> {
  const manifest = await readManifest(root);
  const compiled = await readFiles(join(root, 'dist'));
  if (!compiled.has('cli/main.js')) {
    throw new EdgeBundleError('FILE_FAILED', `'${root}' is not compiled: there is no dist/cli/main.js`, {
      hint: 'Run npm run build.',
    });
  }
  const shared = new Map<string, Buffer>();
  for (const folder of hostFolders) {
    for (const [path, content] of await readFiles(join(root, 'manifests', folder)))
      shared.set(join(folder, path), content);
  }
  const files = new Map<string, Buffer>();
  for (const [path, content] of compiled) if (path.endsWith('.js')) files.set(join('dist', path), withoutMap(content));
  for (const [path, content] of shared) files.set(join('manifests', path), content);
  files.set('package.json', packageJson(manifest));
  return {
    manifest,
    files,
    modules: await readNodeModules(root, new Set(['zstd-napi'])),
    launcher: (await readNear(root, 'manifests/loader/edge-bundle')).toString(),
    licence: await readNear(root, 'LICENSE'),
    shared,
  };
}

function packageJson({ name, version, license }: ModuleManifest): Buffer {
  return Buffer.from(`${JSON.stringify({ name, version, license, private: true, type: 'module' }, undefined, 2)}\n`);
}

function withoutMap(script: Buffer): Buffer {
  return Buffer.from(script.toString('utf8').replace(/\n?\/\/# sourceMappingURL=\S+\s*$/, '\n'));
}

async function readNear(root: string, path: string): Promise<Buffer> {
  return readFile(join(root, path)).catch((error: unknown) => {
    if (systemErrorCode(error) !== 'ENOENT') throw fileError(error, `cannot read '${path}'`);
    throw new EdgeBundleError('FILE_FAILED', `'${root}' has no '${path}': it is no complete installation`, {
      hint: 'A loader package cannot make another one; run this where edge-bundle was installed or built.',
    });
  });
}

/** All files below `folder`, by path; none where it is not there. */
async function readFiles(folder: string): Promise<ReadonlyMap<string, Buffer>> {
  const files = new Map<string, Buffer>();
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    for (const path of paths.sort()) files.set(path.slice(folder.length + 1), await readFile(path));
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw fileError(error, `cannot read '${folder}'`);
  }
  return files;
}
