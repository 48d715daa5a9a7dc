import type { LoadSource } from '../loader/load-plan.ts';
import type { Check } from '../report/preflight-check.ts';
import { checkBases } from './base-check.ts';
import { type BroughtContent, broughtContent } from './brought-content.ts';
import { checkConnection, type ConnectionFacts } from './connection-checks.ts';
import { checkArchitecture, checkClock, checkSize, checkStorage, type HostFacts, hostFacts } from './host-checks.ts';
import { type CheckedProject, type CheckedRegistry, checkRegistry } from './registry-checks.ts';

export interface PreflightOptions {
  /** They stay open until all is checked. */
  readonly bundles: readonly LoadSource[];
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
  const brought = await broughtContent(bundles, options, { signal });
  const checks = [
    ...checkArchitecture(host, bundles),
    ...checkSize(host, isSingleNode),
    await checkStorage(brought.totalBytes, dataPath),
    checkClock(host, bundles),
    ...brought.failures,
  ];
  const basesOf = (registry: CheckedRegistry | undefined): Promise<readonly Check[]> =>
    checkBases({ ...options, plans: brought.plans, registry });
  if (target === undefined) return [...checks, ...(await basesOf(undefined))];
  const { connection } = target;
  if (connection !== undefined) checks.push(...(await checkConnection(connection, host.nowMs, signal)));
  if (checks.some(({ name, status }) => connectionChecks.includes(name) && status === 'fail')) return checks;
  checks.push(...(await checkRegistry(target, projectsOf(options, brought), signal)));
  const isReachable = !checks.some(({ name, status }) => registryChecks.includes(name) && status === 'fail');
  return [...checks, ...(await basesOf(isReachable ? target : undefined))];
}

/** Without these there is no talking to the registry. */
const connectionChecks: readonly Check['name'][] = ['address', 'connection', 'certificate'];

/** Without these it answers nothing. */
const registryChecks: readonly Check['name'][] = ['health', 'credentials'];

/** That of the images is looked at also where no bundle is given. */
function projectsOf({ project }: PreflightOptions, { projects }: BroughtContent): readonly CheckedProject[] {
  const all = new Map([[project, 0], ...projects]);
  return [...all].map(([name, contentBytes]) => ({ name, contentBytes }));
}
