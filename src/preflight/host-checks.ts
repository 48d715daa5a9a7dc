import { arch, cpus, totalmem } from 'node:os';
import { stat } from 'node:fs/promises';

import { errorMessage } from '../errors.ts';
import { freeBytes } from '../files/free-space.ts';
import type { LoadSource } from '../loader/load-plan.ts';
import { formatBytes } from '../report/units.ts';
import type { Check } from '../report/preflight-check.ts';

/** What is known of a machine. */
export interface HostFacts {
  /** As images name it: `amd64`, `arm64`. */
  readonly architecture: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

/** The prerequisites of a local Harbor in Palette's documentation; a cluster of one node needs more. */
const needs = {
  cluster: { cpus: 4, memoryBytes: 8e9 },
  singleNode: { cpus: 6, memoryBytes: 12e9 },
} as const;

/** Room for what a registry keeps besides the blobs: the same as `lint` has. */
const headroom = 1.2;
/** Where a volume of the registry lies on most hosts. */
const likelyDataPath = '/var';

const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64', arm: 'arm', ia32: '386' };

/** Of this machine, now. */
export function hostFacts(): HostFacts {
  return {
    architecture: architectures[arch()] ?? arch(),
    cpus: cpus().length,
    memoryBytes: totalmem(),
    nowMs: Date.now(),
  };
}

export function checkArchitecture({ architecture }: HostFacts, bundles: readonly LoadSource[]): readonly Check[] {
  return bundles.map(({ document: { name, platforms } }): Check => {
    const about = { name: 'architecture', subject: name } as const;
    if (platforms.length === 0) {
      return {
        ...about,
        status: 'pass',
        message: `this host is ${architecture}; the images are for all their platforms`,
      };
    }
    const message = `this host is ${architecture}; the images are for ${platforms.join(', ')}`;
    const fits = platforms.some((platform) => platform.split('/')[1] === architecture);
    return fits
      ? { ...about, status: 'pass', message }
      : { ...about, status: 'fail', message, hint: `Build the bundle with --arch ${architecture}.` };
  });
}

export function checkSize(host: HostFacts, isSingleNode: boolean): readonly Check[] {
  const { cpus: leastCpus, memoryBytes: leastBytes } = isSingleNode ? needs.singleNode : needs.cluster;
  const what = isSingleNode ? 'a cluster of one node with a local registry' : 'a host with a local registry';
  const verdict = (isEnough: boolean, least: string): Pick<Check, 'status' | 'hint'> =>
    isEnough
      ? { status: 'pass' }
      : { status: 'warn', hint: `${what} needs at least ${least}; it may be slow or not start.` };
  return [
    {
      name: 'cpus',
      message: `${host.cpus} CPUs of ${leastCpus}`,
      ...verdict(host.cpus >= leastCpus, `${leastCpus} CPUs`),
    },
    {
      name: 'memory',
      message: `${formatBytes(host.memoryBytes)} of ${formatBytes(leastBytes)}`,
      ...verdict(host.memoryBytes >= leastBytes, formatBytes(leastBytes)),
    },
  ];
}

/**
 * Whether what a load brings has its place where the registry's data will be.
 *
 * @param contentBytes all of it, each content once: a registry stores it once for all projects
 * @param dataPath undefined: nobody knows where that is, and what is found is a guess
 */
export async function checkStorage(contentBytes: number, dataPath: string | undefined): Promise<Check> {
  const path = dataPath ?? likelyDataPath;
  const neededBytes = Math.ceil(contentBytes * headroom);
  let free: number;
  try {
    await stat(path);
    free = await freeBytes(path);
  } catch (error) {
    const status = dataPath === undefined ? 'skip' : 'fail';
    return { name: 'storage', status, message: errorMessage(error), hint: 'Name the place with --data-path.' };
  }
  const message = `'${path}' has ${formatBytes(free)} free; the images are ${formatBytes(contentBytes)}, ${formatBytes(neededBytes)} with headroom`;
  if (free >= neededBytes) return { name: 'storage', status: 'pass', message };
  if (dataPath === undefined) {
    const hint = 'If the registry keeps its data elsewhere, name that place with --data-path.';
    return { name: 'storage', status: 'warn', message, hint };
  }
  const hint = "Give the registry's volume more space, or carry less; what is loaded already needs none.";
  return { name: 'storage', status: free >= contentBytes ? 'warn' : 'fail', message, hint };
}

/** A machine without a battery starts in 1970, or when its system was built. */
export function checkClock({ nowMs }: HostFacts, bundles: readonly LoadSource[]): Check {
  const newestMs = Math.max(0, ...bundles.map(({ document }) => document.sourceDateEpoch * 1000));
  const now = new Date(nowMs).toISOString();
  if (nowMs >= newestMs) return { name: 'clock', status: 'pass', message: `it is ${now}` };
  return {
    name: 'clock',
    status: 'warn',
    message: `it is ${now} here, and the content is of ${new Date(newestMs).toISOString()}`,
    hint: 'Set the clock: certificates are refused before their time.',
  };
}
