import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { EdgeBundleError } from '../errors.ts';
import { withTemporaryFolder } from '../files/temporary-folder.ts';
import { helmReason } from './helm-reason.ts';
import { runHelm } from './run-helm.ts';

export interface HelmProgram {
  readonly path: string;
  /** As Helm writes it: `v4.1.4`. */
  readonly version: string;
  /**
   * What stands before Helm on the command line to take the network away from it. Empty where this system does not let
   * an ordinary user do that; charts are then kept from the network by what Helm is given alone.
   */
  readonly isolation: readonly string[];
}

export interface FindHelmOptions {
  /** What the user named. */
  readonly helm?: string | undefined;
  /** EDGE_BUNDLE_HELM and PATH are read. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly signal?: AbortSignal | undefined;
}

/** Put there by `scripts/setup`; the same place as seen from `src/` and from `dist/`. */
const pinnedPath = fileURLToPath(new URL('../../.tools/helm', import.meta.url));
const versionTimeoutMs = 20_000;
const hint = 'Run scripts/setup, install Helm 3.8 or newer, or name one: --helm FILE or EDGE_BUNDLE_HELM.';

/**
 * The Helm to use: the one that the user named, that EDGE_BUNDLE_HELM names, the first in PATH, or the pinned one.
 *
 * @throws EdgeBundleError HELM_MISSING where there is none, or it does not run or is older than 3.8; ABORTED
 */
export async function findHelm(options: FindHelmOptions): Promise<HelmProgram> {
  const { environment, signal } = options;
  const path = await locateHelm(options);
  const unshare = await findInPath('unshare', environment.PATH);
  if (unshare !== undefined) {
    const isolation = [unshare, '--user', '--map-root-user', '--net', '--'] as const;
    const { version } = await askVersion([...isolation, path], signal);
    if (version !== undefined) return { path, version: supported(version, path), isolation };
  }
  const { version, reason } = await askVersion([path], signal);
  if (version === undefined) throw missing(`'${path}' does not work as Helm: ${reason}`);
  return { path, version: supported(version, path), isolation: [] };
}

/**
 * Where the Helm to use is; it is not run.
 *
 * @throws EdgeBundleError HELM_MISSING where there is none
 */
export async function locateHelm(options: FindHelmOptions): Promise<string> {
  const { helm, environment } = options;
  const named = helm ?? (environment.EDGE_BUNDLE_HELM === '' ? undefined : environment.EDGE_BUNDLE_HELM);
  if (named !== undefined) {
    const path = resolve(named);
    if (await isProgram(path)) return path;
    throw missing(`'${named}' is named as Helm, and is no program that can be run`);
  }
  const path = await findInPath('helm', environment.PATH);
  if (path !== undefined) return path;
  if (await isProgram(pinnedPath)) return pinnedPath;
  throw missing('Helm is not found: it renders the charts');
}

async function findInPath(name: string, path: string | undefined): Promise<string | undefined> {
  // A relative folder would be another one with each current folder.
  const folders = (path ?? '').split(delimiter).filter((folder) => isAbsolute(folder));
  for (const folder of folders) {
    if (await isProgram(join(folder, name))) return join(folder, name);
  }
  return undefined;
}

async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

async function askVersion(
  command: readonly [string, ...string[]],
  signal: AbortSignal | undefined,
): Promise<{ version?: string; reason: string }> {
  const args = ['version', '--template', '{{.Version}}'];
  const ended = await withTemporaryFolder((folder) =>
    runHelm({ command, args, folder, timeoutMs: versionTimeoutMs, signal }),
  );
  const version = ended.stdout.trim();
  if (ended.outcome === 'done' && /^v\d+\.\d+\.\d+/.test(version)) return { version, reason: '' };
  return {
    reason: ended.outcome === 'done' ? 'it tells no version' : helmReason(ended, { timeoutMs: versionTimeoutMs }),
  };
}

function supported(version: string, path: string): string {
  const [major = 0, minor = 0] = version.slice(1).split('.').map(Number);
  if (major > 3 || (major === 3 && minor >= 8)) return version;
  throw missing(`'${path}' is Helm ${version}; 3.8 or newer is needed`);
}

function missing(message: string): EdgeBundleError {
  return new EdgeBundleError('HELM_MISSING', message, { hint });
}
