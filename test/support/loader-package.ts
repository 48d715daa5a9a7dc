import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

import { ComponentCache } from '../../src/packaging/component-cache.ts';
import type { LoaderArchitecture } from '../../src/packaging/components.ts';
import { type LoaderPackage, packageLoader, type PackageLoaderOptions } from '../../src/packaging/package-loader.ts';

/** Kept between runs: what is downloaded has some 50 MB. */
const cache = new ComponentCache({ folder: new URL('../../.cache/loader', import.meta.url).pathname });

export const machine: LoaderArchitecture = process.arch === 'arm64' ? 'arm64' : 'amd64';

/** A loader package of `dist/`, for this machine. */
export function makeLoaderPackage(out: string, options: Partial<PackageLoaderOptions> = {}): Promise<LoaderPackage> {
  return packageLoader({ architecture: machine, out, cache, ...options });
}

export interface LauncherRun {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface LauncherOptions {
  readonly cwd?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
}

/** Runs a package's launcher with no environment but what is given. */
export function runLauncher(
  launcher: string,
  args: readonly string[],
  { cwd, env = {} }: LauncherOptions = {},
): LauncherRun {
  const { status, stdout, stderr } = spawnSync(launcher, args, { cwd, env, encoding: 'utf8' });
  return { status, stdout, stderr };
}

export function launcherOf({ path }: LoaderPackage): string {
  return join(path, 'bin', 'edge-bundle');
}
