import { stat } from 'node:fs/promises';

import { BundleReader } from '../bundle/bundle-reader.ts';
import { verifyParts } from '../bundle/verify-parts.ts';
import type { BundleTrust } from '../bundle/read-head.ts';
import { TransferTally } from '../copy/transfer-tally.ts';
import { isEdgeBundleError, throwIfAborted } from '../errors.ts';
import { loadBundle } from '../loader/load-bundle.ts';
import { type WaitEvent, waitFor } from '../oci-client/wait-for.ts';
import { connectionFacts } from '../preflight/connection-facts.ts';
import { preflight } from '../preflight/preflight.ts';
import type { FoundBundle } from './bundle-search.ts';
import type { FirstBootConfig } from './config-schema.ts';
import { inConfigWords } from './config-words.ts';
import type { OpenRegistry } from './open-registry.ts';
import type { Reporter } from './reporter.ts';
import type { StatusFile } from './status-file.ts';

/** The host and the registry are checked once for all bundles. */
export interface HostPreflight {
  isDone: boolean;
}

export interface LoadFoundOptions {
  readonly config: FirstBootConfig;
  readonly registry: OpenRegistry;
  readonly status: StatusFile;
  readonly reporter: Reporter;
  readonly preflight: HostPreflight;
  readonly trust: BundleTrust | undefined;
  /** What is to be loaded, this one among it: preflight sums it up. */
  readonly all: readonly FoundBundle[];
  readonly signal?: AbortSignal | undefined;
}

/**
 * One bundle, from its file into the registry: signature, checksums of parts, the wait for the registry, load, verification.
 *
 * @throws EdgeBundleError what any of these fail with
 */
export async function loadFoundBundle(found: FoundBundle, options: LoadFoundOptions): Promise<void> {
  const { path, contentBytes } = found;
  const { config, registry, status, reporter, trust, signal } = options;
  const { project, packsProject, concurrency, stateDir, wait } = config;
  const reader = await BundleReader.open(path, { trust });
  try {
    if (config.checkParts) await checkParts(found, options);
    await waitForRegistry(found, options);
    await checkOnce(options);
    throwIfAborted(signal);
    const loaded = new TransferTally();
    reporter.bytesPerSecond = () => loaded.bytesPerSecond;
    status.updateBundle(path, { state: 'loading', doneBytes: 0, totalBytes: contentBytes });
    await reporter.changed({ state: 'loading', waiting: undefined });
    const onWait = waitTold(found, options);
    await loadBundle({
      bundle: reader,
      client: registry.client,
      registry: registry.registry,
      harbor: registry.harbor,
      project,
      packsProject,
      concurrency,
      journal: { folder: stateDir },
      wait: { limitMs: wait.registry },
      signal,
      onEvent: (event) => {
        if (event.type === 'waiting' || event.type === 'ready') onWait(event);
        if (event.type === 'warning') reporter.warn(event.message);
        if (event.type === 'verifying') {
          status.updateBundle(path, { state: 'verifying' });
          void reporter.changed({});
        }
        if ('descriptor' in event) {
          loaded.add(event);
          status.updateBundle(path, { doneBytes: Math.min(contentBytes, loaded.doneBytes) });
        }
      },
    });
  } finally {
    reporter.bytesPerSecond = () => 0;
    await reader.close();
  }
}

/** While the registry starts, the parts are read: what is damaged is known before anything is sent. */
async function checkParts(
  { path, paths }: FoundBundle,
  { status, reporter, trust, signal }: LoadFoundOptions,
): Promise<void> {
  const checked = new TransferTally();
  const sizes = await Promise.all(paths.map(async (part) => (await stat(part)).size));
  status.updateBundle(path, {
    state: 'checking',
    doneBytes: 0,
    totalBytes: sizes.reduce((sum, size) => sum + size, 0),
  });
  reporter.bytesPerSecond = () => checked.bytesPerSecond;
  await reporter.changed({ state: 'checking', waiting: undefined });
  await verifyParts(path, {
    trust,
    signal,
    onProgress: (bytes) => {
      checked.advance(bytes);
      status.updateBundle(path, { doneBytes: checked.doneBytes });
    },
  });
}

async function waitForRegistry(found: FoundBundle, options: LoadFoundOptions): Promise<void> {
  const { config, registry, signal } = options;
  const { harbor, client } = registry;
  const onEvent = waitTold(found, options);
  const how = { limitMs: config.wait.registry, onEvent, signal };
  if (harbor !== undefined) await harbor.waitUntilReady(how);
  else await waitFor(() => client.ping(registry.registry, { signal, isOneOfMany: true }), how);
}

/** Says in the status that the registry is waited for, and when that is over. */
export function waitTold(
  { path }: FoundBundle,
  { status, reporter }: Pick<LoadFoundOptions, 'status' | 'reporter'>,
): (event: WaitEvent) => void {
  let since: string | undefined;
  return (event) => {
    if (event.type === 'ready') {
      if (since === undefined) return;
      since = undefined;
      status.updateBundle(path, { state: 'loading' });
      void reporter.changed({ state: 'loading', waiting: undefined });
      return;
    }
    const { message: reason } = event.reason;
    const isNew = since === undefined || status.current.waiting?.reason !== reason;
    since ??= new Date(Date.now() - event.waitedMs).toISOString();
    const waiting = { for: 'registry', since, reason } as const;
    status.updateBundle(path, { state: 'waiting' });
    if (isNew) void reporter.changed({ state: 'waiting-for-registry', waiting });
    else status.update({ waiting });
  };
}

/** What it finds is told, and stops nothing: the load itself meets what is fatal. */
async function checkOnce({
  config,
  registry,
  status,
  reporter,
  preflight: once,
  trust,
  all,
  signal,
}: LoadFoundOptions): Promise<void> {
  if (once.isDone || !config.preflight) return;
  once.isDone = true;
  const { project, packsProject, dataPath } = config;
  const bundles: BundleReader[] = [];
  try {
    for (const { path } of all) bundles.push(await BundleReader.open(path, { trust }));
    const found = await preflight({
      bundles,
      target: { ...registry, connection: connectionFacts(registry.registry, registry.transport) },
      project,
      packsProject,
      dataPath,
      signal,
    });
    const checks = found.map(({ hint, ...check }) => ({
      ...check,
      ...(hint === undefined ? {} : { hint: inConfigWords(hint) }),
    }));
    status.update({ preflight: checks });
    for (const { name, subject, status: verdict, message, hint } of checks) {
      if (verdict !== 'warn' && verdict !== 'fail') continue;
      const about = subject === undefined ? name : `${name} (${subject})`;
      reporter.warn(`preflight: ${about}: ${message}${hint === undefined ? '' : `. ${hint}`}`);
    }
  } catch (error) {
    throwIfAborted(signal);
    if (!isEdgeBundleError(error)) throw error;
    reporter.warn(error.message);
  } finally {
    for (const bundle of bundles) await bundle.close();
  }
}
