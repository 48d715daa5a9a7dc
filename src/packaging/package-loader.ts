import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { EdgeBundleError, throwIfAborted } from '../errors.ts';
import { writeFileAtomic } from '../files/atomic-file.ts';
import { withFileLock } from '../files/file-lock.ts';
import { fileError } from '../files/file-error.ts';
import { type Application, readApplication } from './application.ts';
import { type ArchiveFormat, packTree } from './archive.ts';
import type { ComponentCache } from './component-cache.ts';
import { components, type LoaderArchitecture, minGlibc } from './components.ts';
import { checksums, type FileTree, ensureReplaceable, type TreeFile, writeTree } from './file-tree.ts';
import { readNode, readSharedLibraries, type Runtime } from './runtime.ts';
import { type SbomPackage, writeSbom } from './sbom.ts';

export interface PackageLoaderOptions {
  readonly architecture: LoaderArchitecture;
  /** The folder that the package goes into. */
  readonly out: string;
  readonly cache: ComponentCache;
  /** Makes an archive of it too. */
  readonly archive?: ArchiveFormat | undefined;
  /** The time stamp of everything in it, in seconds since 1970. Default: 0. */
  readonly sourceDateEpoch?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface LoaderPackage {
  readonly path: string;
  readonly archive: string | undefined;
  readonly version: string;
  readonly node: string;
  readonly files: number;
  /** Of all files, unpacked. */
  readonly bytes: number;
  /** Of SHA256SUMS: the same for the same package. */
  readonly sha256: string;
}

/** What a host's disk, and the installer's image, are asked for. */
export const maxPackageBytes = 130_000_000;
const marker = 'SHA256SUMS';

/**
 * Makes the folder `edge-bundle-loader-<version>-linux-<architecture>` that runs on a host without Node.js: this command
 * line, Node.js, what both need, and the licences. The same inputs give the same bytes, modes and times.
 *
 * @throws EdgeBundleError TOOL_FAILED, DIGEST_MISMATCH, FILE_FAILED, NO_SPACE, UNSUPPORTED, LOCKED, ABORTED
 */
export async function packageLoader(options: PackageLoaderOptions): Promise<LoaderPackage> {
  const { architecture, out, cache, archive, sourceDateEpoch = 0, signal } = options;
  const application = await readApplication();
  const name = `edge-bundle-loader-${application.manifest.version}-linux-${architecture}`;
  const path = join(out, name);
  await mkdir(out, { recursive: true }).catch((error: unknown) => {
    throw fileError(error, `cannot make the folder '${out}'`);
  });
  return withFileLock(`${path}.lock`, { signal }, async () => {
    await ensureReplaceable(path, marker);
    const node = await readNode({ architecture, cache, signal });
    const libraries = await readSharedLibraries({ architecture, cache, signal });
    throwIfAborted(signal);
    const tree = treeOf(application, { architecture, name, node, libraries, sourceDateEpoch });
    const bytes = ensureSmall(tree);
    await writeTree(path, tree, { sourceDateEpoch, signal });
    const archivePath = archive === undefined ? undefined : `${path}.${archive}`;
    if (archive !== undefined && archivePath !== undefined) {
      await writeFileAtomic(archivePath, packTree(name, tree, { format: archive, sourceDateEpoch }));
    }
    return {
      path,
      archive: archivePath,
      version: application.manifest.version,
      node: components[architecture].node.version,
      files: tree.size,
      bytes,
      sha256: createHash('sha256')
        .update(tree.get(marker)?.content ?? '')
        .digest('hex'),
    };
  });
}

function ensureSmall(tree: FileTree): number {
  const bytes = [...tree.values()].reduce((sum, { content }) => sum + content.byteLength, 0);
  if (bytes <= maxPackageBytes) return bytes;
  throw new EdgeBundleError(
    'UNSUPPORTED',
    `the package would have ${bytes} bytes; at most ${maxPackageBytes} are meant`,
  );
}

interface Parts {
  readonly architecture: LoaderArchitecture;
  readonly name: string;
  readonly node: Runtime;
  readonly libraries: Runtime;
  readonly sourceDateEpoch: number;
}

function treeOf(application: Application, parts: Parts): FileTree {
  const { architecture, node, libraries } = parts;
  const tree = new Map<string, TreeFile>();
  const add = (path: string, content: Buffer, isExecutable = false): void => {
    tree.set(path, { content, isExecutable });
  };
  const launcher = application.launcher.replaceAll('@ARCHITECTURE@', architecture).replaceAll('@GLIBC@', minGlibc);
  add('bin/edge-bundle', Buffer.from(launcher), true);
  for (const [file, content] of node.files) add(`lib/node/bin/${file}`, content, true);
  for (const [file, content] of libraries.files) add(`lib/shared/${file}`, content);
  for (const [file, content] of application.files) add(`lib/app/${file}`, content);
  for (const [file, content] of application.shared) add(`share/${file}`, content);
  add('LICENSES/edge-bundle/LICENSE', application.licence);
  for (const { path, files, licences, name, version, license } of application.modules) {
    for (const [file, content] of files) add(`lib/app/${path}/${file}`, content);
    for (const [file, content] of licences) add(`LICENSES/npm/${name}-${version}/${file}`, content);
    if (licences.size === 0) {
      const text = `${name} ${version} has no licence file; its package.json says: ${license ?? 'nothing'}\n`;
      add(`LICENSES/npm/${name}-${version}/LICENSE`, Buffer.from(text));
    }
  }
  for (const [file, content] of [...node.licences, ...libraries.licences]) add(`LICENSES/${file}`, content);
  add('share/sbom.spdx.json', sbomOf(application, sorted(tree), parts));
  add(marker, checksums(sorted(tree)));
  return sorted(tree);
}

function sorted(tree: FileTree): FileTree {
  return new Map([...tree].sort(([one], [other]) => (one < other ? -1 : 1)));
}

function sbomOf({ manifest, modules }: Application, tree: FileTree, parts: Parts): Buffer {
  const { architecture, name, sourceDateEpoch } = parts;
  const { node, packages } = components[architecture];
  const npm = (module: string, version: string): string => `pkg:npm/${module.replace('@', '%40')}@${version}`;
  const debian = (['libgcc-s1', 'libstdc++6'] as const).map((library): SbomPackage => {
    const { version } = packages[library];
    const purl = `pkg:deb/debian/${library.replaceAll('+', '%2B')}@${version}?arch=${architecture}&distro=debian-11`;
    return { name: library, version, license: 'GPL-3.0-or-later WITH GCC-exception-3.1', purl };
  });
  return writeSbom({
    name,
    version: manifest.version,
    license: manifest.license,
    sourceDateEpoch,
    contentHex: createHash('sha256').update(checksums(tree)).digest('hex'),
    packages: [
      {
        name: 'node',
        version: node.version,
        license: 'MIT',
        purl: npm(node.name, node.version),
        cpe: `cpe:2.3:a:nodejs:node.js:${node.version}:*:*:*:*:*:*:*`,
      },
      ...debian,
      ...modules.map((module) => ({
        name: module.name,
        version: module.version,
        license: module.license,
        purl: npm(module.name, module.version),
      })),
    ],
  });
}
