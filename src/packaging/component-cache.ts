import { createHash, timingSafeEqual } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { EdgeBundleError, isEdgeBundleError, systemErrorCode } from '../errors.ts';
import { writeFileAtomic } from '../files/atomic-file.ts';
import { fileError } from '../files/file-error.ts';
import { withTemporaryFolder } from '../files/temporary-folder.ts';
import { debianSuite, type LoaderArchitecture, type PinnedFile } from './components.ts';
import { runTool } from './run-tool.ts';

export interface ComponentCacheOptions {
  /** Where downloads are kept; what is put there by hand is as good. */
  readonly folder: string;
  /** Default: `http://deb.debian.org/debian`. What comes from there is checked by its digest. */
  readonly debianMirror?: string | undefined;
  readonly onDownload?: ((file: PinnedFile) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The files of npm's and Debian's registries that a package is made of: each is downloaded once, and checked every time. */
export class ComponentCache {
  readonly #options: ComponentCacheOptions;

  constructor(options: ComponentCacheOptions) {
    this.#options = options;
  }

  /**
   * The tarball of a package of npm's registry, or of the mirror that npm is configured for.
   *
   * @throws EdgeBundleError TOOL_FAILED, DIGEST_MISMATCH, FILE_FAILED, NO_SPACE, ABORTED
   */
  async npmPackage(file: PinnedFile): Promise<Buffer> {
    const name = `${file.name}-${file.version}.tgz`;
    const contents = await this.#get(new Map([[name, file]]), async (folder) => {
      const flags = ['--ignore-scripts', '--silent', '--no-update-notifier', '--pack-destination', folder];
      await this.#run('npm', ['pack', `${file.name}@${file.version}`, ...flags], folder);
    });
    return memberOf(contents, name);
  }

  /**
   * Packages of Debian by their names, whatever system this is, as long as it has apt. Nothing of the system's own apt
   * is changed.
   *
   * @throws EdgeBundleError as `npmPackage`
   */
  async debianPackages<T extends string>(
    files: Readonly<Record<T, PinnedFile>>,
    architecture: LoaderArchitecture,
  ): Promise<Readonly<Record<T, Buffer>>> {
    const nameOf = ({ name, version }: PinnedFile): string => `${name}_${version}_${architecture}.deb`;
    const pinned = Object.values<PinnedFile>(files);
    const contents = await this.#get(new Map(pinned.map((file) => [nameOf(file), file])), async (folder, missing) => {
      const flags = await this.#aptFlags(folder, architecture);
      await this.#run('apt-get', [...flags, 'update'], folder);
      await this.#run(
        'apt-get',
        [...flags, 'download', ...missing.map((file) => `${file.name}=${file.version}`)],
        folder,
      );
    });
    const entries = pinned.map((file) => [file.name, memberOf(contents, nameOf(file))]);
    return Object.fromEntries(entries) as Readonly<Record<T, Buffer>>;
  }

  /** An apt of its own, with its lists below `folder`. */
  async #aptFlags(folder: string, architecture: LoaderArchitecture): Promise<readonly string[]> {
    const { debianMirror = 'http://deb.debian.org/debian' } = this.#options;
    const sources = join(folder, 'sources.list');
    // The digests are pinned, so that no keyring has to be here.
    await writeFileAtomic(sources, `deb [trusted=yes] ${debianMirror} ${debianSuite} main\n`);
    await mkdir(join(folder, 'lists', 'partial'), { recursive: true });
    await mkdir(join(folder, 'cache', 'archives', 'partial'), { recursive: true });
    const settings = {
      'APT::Architecture': architecture,
      'APT::Architectures': architecture,
      'APT::Sandbox::User': '',
      'Acquire::Languages': 'none',
      'Acquire::Check-Valid-Until': 'false',
      'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled': 'false',
      'Acquire::IndexTargets::deb::CNF::DefaultEnabled': 'false',
      'Dir::Etc::sourcelist': sources,
      'Dir::Etc::sourceparts': '-',
      'Dir::State::lists': join(folder, 'lists'),
      'Dir::State::status': '/dev/null',
      'Dir::Cache': join(folder, 'cache'),
    };
    return ['-qq', ...Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`])];
  }

  /** @param download puts those that are missing into a folder, by their names */
  async #get(
    files: ReadonlyMap<string, PinnedFile>,
    download: (folder: string, missing: readonly PinnedFile[]) => Promise<void>,
  ): Promise<ReadonlyMap<string, Buffer>> {
    const { folder: kept, onDownload } = this.#options;
    const contents = new Map<string, Buffer>();
    const missing = new Map<string, PinnedFile>();
    for (const [name, file] of files) {
      const content = await readIfThere(join(kept, name));
      if (content !== undefined && hasIntegrity(content, file.integrity)) contents.set(name, content);
      else missing.set(name, file);
    }
    if (missing.size === 0) return contents;
    for (const file of missing.values()) onDownload?.(file);
    await withTemporaryFolder(async (folder) => {
      await download(folder, [...missing.values()]);
      for (const [name, file] of missing) {
        const content = await this.#readDownloaded(join(folder, name), name, file);
        await writeFileAtomic(join(kept, name), content);
        contents.set(name, content);
      }
    });
    return contents;
  }

  async #readDownloaded(path: string, name: string, { integrity }: PinnedFile): Promise<Buffer> {
    const content = await readIfThere(path);
    const hint = this.#hint(`'${name}'`);
    if (content === undefined) throw new EdgeBundleError('TOOL_FAILED', `the registry gave no '${name}'`, { hint });
    if (hasIntegrity(content, integrity)) return content;
    throw new EdgeBundleError('DIGEST_MISMATCH', `'${name}' is not what is expected, ${integrity}`, { hint });
  }

  async #run(program: string, args: readonly string[], folder: string): Promise<void> {
    try {
      await runTool(program, args, { folder, signal: this.#options.signal });
    } catch (error) {
      if (!isEdgeBundleError(error, 'TOOL_FAILED')) throw error;
      throw new EdgeBundleError('TOOL_FAILED', error.message, { cause: error, hint: this.#hint('what it should get') });
    }
  }

  #hint(what: string): string {
    return `Without a network, put ${what} into '${this.#options.folder}' by hand.`;
  }
}

function memberOf(contents: ReadonlyMap<string, Buffer>, name: string): Buffer {
  const content = contents.get(name);
  if (content === undefined) throw new EdgeBundleError('FAILED', `'${name}' was not read`);
  return content;
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  return readFile(path).catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw fileError(error, `cannot read '${path}'`);
  });
}

function hasIntegrity(content: Buffer, integrity: string): boolean {
  const [, algorithm = '', expected = ''] = /^(sha(?:256|512))-(.+)$/.exec(integrity) ?? [];
  const actual = createHash(algorithm).update(content).digest();
  const wanted = Buffer.from(expected, 'base64');
  return actual.byteLength === wanted.byteLength && timingSafeEqual(actual, wanted);
}
