import { withTemporaryFolder } from '../files/temporary-folder.ts';
import { helmReason } from './helm-reason.ts';
import { findInPath, helmMissing, type LocateHelmOptions, locateHelm } from './locate-helm.ts';
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

export interface FindHelmOptions extends LocateHelmOptions {
  readonly signal?: AbortSignal | undefined;
}

const versionTimeoutMs = 20_000;

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
  if (version === undefined) throw helmMissing(`'${path}' does not work as Helm: ${reason}`);
  return { path, version: supported(version, path), isolation: [] };
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
  throw helmMissing(`'${path}' is Helm ${version}; 3.8 or newer is needed`);
}
