import { defaultPacksProject } from '../loader/load-plan.ts';
import type { Check } from '../report/preflight-check.ts';
import { checkConnection, type ConnectionFacts } from './connection-checks.ts';
import {
  type CheckedBundle,
  checkArchitecture,
  checkClock,
  checkSize,
  checkStorage,
  type HostFacts,
  hostFacts,
} from './host-checks.ts';
import { type CheckedProject, type CheckedRegistry, checkRegistry } from './registry-checks.ts';

export interface PreflightOptions {
  readonly bundles: readonly CheckedBundle[];
  /** Undefined: only the host is checked. */
  readonly target?: (CheckedRegistry & { readonly connection: ConnectionFacts | undefined }) | undefined;
  readonly project: string;
  readonly packsProject?: string | undefined;
  /** The cluster has this one host: it needs more. Default: false. */
  readonly isSingleNode?: boolean | undefined;
  /** Where the registry's data will be stored on this host. */
  readonly dataPath?: string | undefined;
  /** Default: this host, now. */
  readonly host?: HostFacts | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Whether this host and the registry are fit for the bundles, before anything is sent. Nothing is changed.
 *
 * @throws EdgeBundleError CONFIG_INVALID where the CA cannot be read, ABORTED; what is amiss is no error, but a check
 */
export async function preflight(options: PreflightOptions): Promise<readonly Check[]> {
  const { bundles, target, isSingleNode = false, dataPath, host = hostFacts(), signal } = options;
  const checks = [
    ...checkArchitecture(host, bundles),
    ...checkSize(host, isSingleNode),
    await checkStorage(bundles, dataPath),
    checkClock(host, bundles),
  ];
  if (target === undefined) return checks;
  const { connection } = target;
  if (connection !== undefined) checks.push(...(await checkConnection(connection, host.nowMs, signal)));
  if (checks.some(({ name, status }) => connectionChecks.includes(name) && status === 'fail')) return checks;
  return [...checks, ...(await checkRegistry(target, projectsOf(options), signal))];
}

/** Without these there is no talking to the registry. */
const connectionChecks: readonly Check['name'][] = ['address', 'connection', 'certificate'];

/** Charts and packs are small: all content is counted to the images. */
function projectsOf({
  bundles,
  project,
  packsProject = defaultPacksProject,
}: PreflightOptions): readonly CheckedProject[] {
  const blobs = new Map(bundles.flatMap(({ document }) => document.blobs.map(({ digest, size }) => [digest, size])));
  const contentBytes = [...blobs.values()].reduce((sum, size) => sum + size, 0);
  const hasCharts = bundles.some(({ document }) => document.charts.length > 0);
  const images = { name: project, contentBytes };
  return hasCharts && packsProject !== project ? [images, { name: packsProject, contentBytes: 0 }] : [images];
}
