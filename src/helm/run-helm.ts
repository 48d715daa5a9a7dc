import { join } from 'node:path';

import { type EndedRun, runBounded } from './run-bounded.ts';

/** What bounds one run of Helm. */
export interface HelmLimits {
  /** Default: 120,000. */
  readonly timeoutMs?: number | undefined;
  /** Of address space, of which Go reserves some 800 MiB unused; in bytes. Default: 3 GiB. */
  readonly maxMemoryBytes?: number | undefined;
  /** In bytes. Default: 64 MiB. */
  readonly maxOutputBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface HelmRun extends HelmLimits {
  /** Helm's path, and what comes before it on the command line. */
  readonly command: readonly [string, ...string[]];
  readonly args: readonly string[];
  /** Helm's home, and its current folder. */
  readonly folder: string;
  readonly input?: string | undefined;
}

export const defaultTimeoutMs = 120_000;
export const defaultMaxMemoryBytes = 3 * 1024 ** 3;
export const defaultMaxOutputBytes = 64 * 1024 ** 2;

/**
 * Runs Helm with no environment but what it needs: no cluster, no plugins, no settings of the user, no network.
 *
 * @throws EdgeBundleError ABORTED, FILE_FAILED
 */
export function runHelm(run: HelmRun): Promise<EndedRun> {
  const { command, args, folder, input = '', signal } = run;
  const { timeoutMs = defaultTimeoutMs, maxMemoryBytes = defaultMaxMemoryBytes } = run;
  const { maxOutputBytes = defaultMaxOutputBytes } = run;
  return runBounded({
    command: [...command, ...args],
    folder,
    environment: helmEnvironment(folder, maxMemoryBytes),
    input,
    timeoutMs,
    maxMemoryBytes,
    maxOutputBytes,
    signal,
  });
}

/** A port that nothing listens on: what would use a proxy fails at once. */
const closedProxy = 'http://127.0.0.1:9';

function helmEnvironment(folder: string, maxMemoryBytes: number): Record<string, string> {
  return {
    HOME: folder,
    TMPDIR: folder,
    HELM_CACHE_HOME: join(folder, 'cache'),
    HELM_CONFIG_HOME: join(folder, 'config'),
    HELM_DATA_HOME: join(folder, 'data'),
    HELM_PLUGINS: join(folder, 'plugins'),
    HELM_NO_PLUGINS: '1',
    KUBECONFIG: '/dev/null',
    HTTP_PROXY: closedProxy,
    HTTPS_PROXY: closedProxy,
    ALL_PROXY: closedProxy,
    // Go collects at this rather than asking for more; and less often than usual, which is a fifth of the time of a large chart.
    GOMEMLIMIT: String(Math.floor(maxMemoryBytes / 2)),
    GOGC: '400',
  };
}
