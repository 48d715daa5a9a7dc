import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import type { Processes } from './processes.ts';

export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  /** The `.deb` file. */
  readonly path: string;
}

/** What packages need only to be installed by dpkg, not to run. */
const maintenance: ReadonlySet<string> = new Set([
  'awk',
  'adduser',
  'debconf',
  'dpkg',
  'init-system-helpers',
  'lsb-base',
  'mawk',
  'gawk',
  'original-awk',
  'passwd',
  'perl-base',
  'sysvinit-utils',
  'ucf',
]);

/** Packages of the distribution's archive, through apt: it knows the mirrors and checks the signatures. */
export class DebianArchive {
  readonly #dependencies: ReadonlyMap<string, readonly string[]>;
  readonly #packages: ReadonlyMap<string, DebianPackage>;

  private constructor(
    dependencies: ReadonlyMap<string, readonly string[]>,
    packages: ReadonlyMap<string, DebianPackage>,
  ) {
    this.#dependencies = dependencies;
    this.#packages = packages;
  }

  /**
   * Downloads `names` and all that they depend on into `folder`, but for what is there already.
   *
   * @throws Error where the archive does not have a package or cannot be reached
   */
  static async download(processes: Processes, names: readonly string[], folder: string): Promise<DebianArchive> {
    await mkdir(folder, { recursive: true });
    const depends = await processes.run('apt-cache', ['depends', '--important', '--recurse', ...names]);
    const dependencies = parseDependencies(depends.stdout);
    const get = ['download', '-qq', '-o', 'APT::Sandbox::User=root', ...withDependencies(names, dependencies)];
    await processes.run('apt-get', get, { cwd: folder }).catch((cause: unknown) => {
      throw new Error("apt-get download failed; its package lists may be old: run 'apt-get update' as root", { cause });
    });
    const { stdout } = await processes.run('apt-get', [...get, '--print-uris']);
    const packages = [...stdout.matchAll(/^'[^']+' (\S+\.deb) /gm)].map(([, file = '']) => {
      const [name = '', version = ''] = file.split('_');
      return [name, { name, version: decodeURIComponent(version), path: join(folder, file) }] as const;
    });
    return new DebianArchive(dependencies, new Map(packages));
  }

  /** `names` and all that they depend on, in the order of their names. */
  find(names: readonly string[]): readonly DebianPackage[] {
    return withDependencies(names, this.#dependencies).map((name) => {
      const found = this.#packages.get(name);
      if (found === undefined) throw new Error(`the package ${name} was not downloaded`);
      return found;
    });
  }
}

/** `amd64`, `arm64`: what Debian and Go call this machine. */
export async function debianArchitecture(processes: Processes): Promise<string> {
  return (await processes.run('dpkg', ['--print-architecture'])).stdout.trim();
}

/** Without what only an installation by dpkg needs; in the order of their names. */
function withDependencies(
  names: readonly string[],
  dependencies: ReadonlyMap<string, readonly string[]>,
): readonly string[] {
  const found = new Set<string>();
  const visit = (name: string): void => {
    if (found.has(name) || maintenance.has(name)) return;
    found.add(name);
    dependencies.get(name)?.forEach(visit);
  };
  names.forEach(visit);
  return [...found].sort();
}

/**
 * What `apt-cache depends` prints: a package a paragraph, ` |Depends: a` where the next line is an alternative to it,
 * `<a>` for a virtual package with the real ones indented below. The first alternative is taken.
 */
function parseDependencies(text: string): ReadonlyMap<string, readonly string[]> {
  const dependencies = new Map<string, string[]>();
  let current: string[] = [];
  let isAlternative = false;
  let isVirtual = false;
  for (const line of text.split('\n')) {
    const [, bar, target] = /^ ([ |])(?:Pre)?Depends: (.+)$/.exec(line) ?? [];
    if (target !== undefined) {
      isVirtual = !isAlternative && target.startsWith('<');
      if (!isAlternative && !isVirtual) current.push(target);
      isAlternative = bar === '|';
    } else if (line.startsWith('    ') && isVirtual) {
      current.push(line.trim());
      isVirtual = false;
    } else if (/^\S/.test(line)) {
      current = [];
      dependencies.set(line.trim(), current);
    }
  }
  return dependencies;
}
