import { join } from 'node:path';

import type { BundleTrust } from '../bundle/read-head.ts';
import { combineFailures, EdgeBundleError, isEdgeBundleError, throwIfAborted } from '../errors.ts';
import { FileLock } from '../files/file-lock.ts';
import { pause } from '../oci-client/abortable.ts';
import { BundleSearch, type FoundBundle, type SearchResult } from './bundle-search.ts';
import type { FirstBootConfig } from './config-schema.ts';
import { forConfig } from './config-words.ts';
import { errorRecord } from './error-record.ts';
import { type HostPreflight, loadFoundBundle, waitTold } from './load-found-bundle.ts';
import { LoadedMarkers } from './loaded-markers.ts';
import { type FoundMedia, Media } from './media.ts';
import { type OpenRegistry, openRegistry, registryOf, trustOfConfig } from './open-registry.ts';
import { orderBundles } from './order-bundles.ts';
import { type FirstBootEvent, Reporter } from './reporter.ts';
import { StatusFile } from './status-file.ts';
import { busyStates } from './status-line.ts';
import type { FirstBootStatus } from '../report/first-boot-status.ts';
import { type NotifyEnvironment, SystemdNotifier } from './systemd-notifier.ts';

export interface FirstBootOptions {
  readonly config: FirstBootConfig;
  /** Where systemd is told; nowhere without NOTIFY_SOCKET. */
  readonly environment?: NotifyEnvironment | undefined;
  readonly onEvent?: ((event: FirstBootEvent) => void) | undefined;
  /** Between two lines on the console. Default: 5,000. */
  readonly intervalMs?: number | undefined;
  /** Between two looks for media. Default: 3,000. */
  readonly pollMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const pollMs = 3_000;

/**
 * Finds the bundles of this host, checks them, waits for the registry, loads and verifies them, deltas after their base; each once
 * for a registry, however often it is called. What waiting may cure is waited for. One bundle that is bad does not stop the others.
 * Killed at any point, the next call goes on.
 *
 * @returns the status at the end, which is also in the status file
 * @throws EdgeBundleError LOCKED where another one is at work; the failures of bundles, with the code that they share (else FAILED);
 *   BUNDLE_MISSING for what did not come in time; CONFIG_INVALID, CREDENTIALS_INVALID, FILE_FAILED; ABORTED
 */
export async function firstBoot(options: FirstBootOptions): Promise<FirstBootStatus> {
  const { stateDir } = options.config;
  const lock = await FileLock.acquire(join(stateDir, 'first-boot.lock'), { signal: options.signal });
  try {
    return await runLocked(options);
  } finally {
    await lock.release();
  }
}

async function runLocked(options: FirstBootOptions): Promise<FirstBootStatus> {
  const { config, environment = {}, onEvent, intervalMs, signal } = options;
  const { project, packsProject, stateDir, ready } = config;
  const notifier = new SystemdNotifier(environment);
  const status = await StatusFile.open({
    path: join(stateDir, 'status.json'),
    registry: registryOf(config),
    project,
    packsProject,
    onProblem: (error) => onEvent?.({ type: 'warning', text: error.message }),
  });
  const reporter = new Reporter({ status, notifier, onEvent, intervalMs });
  try {
    await reporter.changed({ state: 'starting' });
    if (ready === 'started') notifier.ready();
    await new FirstBoot(options, status, reporter).run();
    const finishedAt = new Date().toISOString();
    await reporter.changed({ state: 'done', finishedAt, exitCode: 0 });
    notifier.ready();
    return status.current;
  } catch (cause) {
    const error = isEdgeBundleError(cause)
      ? cause
      : new EdgeBundleError('FAILED', `unexpected: ${cause instanceof Error ? cause.message : String(cause)}`, {
          cause,
        });
    const end = { finishedAt: new Date().toISOString(), error: errorRecord(error), exitCode: error.exitCode };
    const bundles = status.current.bundles.map((bundle) =>
      busyStates.has(bundle.state) ? { ...bundle, state: 'found' as const } : bundle,
    );
    status.update({ waiting: undefined, bundles });
    await reporter.changed({ state: signal?.aborted === true ? 'stopped' : 'failed', ...end });
    notifier.stopping();
    throw cause;
  } finally {
    reporter.stop();
    await notifier.flush();
  }
}

/** One run: what it has found, and what came of it. */
class FirstBoot {
  readonly #options: FirstBootOptions;
  readonly #status: StatusFile;
  readonly #reporter: Reporter;
  readonly #media: Media;
  readonly #markers: LoadedMarkers;
  /** Files that are done with, well or not, as long as they stay as they are. */
  readonly #settled = new Set<string>();
  readonly #failures = new Map<string, EdgeBundleError>();
  readonly #failedIds = new Set<string>();
  readonly #preflight: HostPreflight = { isDone: false };
  #trust: BundleTrust | undefined;
  #registry: OpenRegistry | undefined;

  constructor(options: FirstBootOptions, status: StatusFile, reporter: Reporter) {
    const { sources, mountDir, stateDir, project, packsProject } = options.config;
    this.#options = options;
    this.#status = status;
    this.#reporter = reporter;
    this.#media = new Media(sources, mountDir);
    this.#markers = new LoadedMarkers(stateDir, { registry: registryOf(options.config), project, packsProject });
  }

  async run(): Promise<void> {
    try {
      this.#trust = await trustOfConfig(this.#options.config);
      await this.#media.clean();
      await this.#loadAll();
      this.#ensureNoFailures();
    } finally {
      await this.#registry?.close();
      // A disk that cannot be unmounted is no reason to say that nothing was loaded.
      await this.#media.close().catch((error: unknown) => {
        if (!isEdgeBundleError(error)) throw error;
        this.#reporter.warn(error.message);
      });
    }
  }

  /** Until everything that is there is settled, and that is enough; what has come meanwhile is loaded too. */
  async #loadAll(): Promise<void> {
    const { config, signal } = this.#options;
    const search = new BundleSearch(this.#trust);
    const beganMs = performance.now();
    for (;;) {
      throwIfAborted(signal);
      const media = await this.#media.find(signal);
      const found = await search.look(media.media, signal);
      await this.#tellFound(media, found);
      const fresh = orderBundles(found.bundles).filter(({ version }) => !this.#settled.has(version));
      if (fresh.length > 0) {
        for (const bundle of fresh) await this.#settle(bundle, fresh);
        continue;
      }
      const missing = await this.#missing(found);
      this.#status.update({ missing: [...missing] });
      // Something that has failed already is not to be waited for: the next run looks for both.
      if (missing.length === 0 && (this.#failures.size > 0 || (await this.#isAnythingThere(found)))) return;
      if (this.#failures.size > 0 || performance.now() - beganMs >= config.wait.content) {
        throw this.#summary(this.#missingError(missing, media));
      }
      await this.#wait(media, missing, beganMs);
    }
  }

  async #tellFound(media: FoundMedia, found: SearchResult): Promise<void> {
    for (const { path, medium, version, error } of found.unreadable) {
      if (this.#settled.has(version)) continue;
      this.#settled.add(version);
      await this.#fail({ path, medium: medium.name }, error);
    }
    for (const { path, medium, id, name, baseId, images, charts, contentBytes } of orderBundles(found.bundles)) {
      if (this.#status.current.bundles.some((bundle) => bundle.path === path && bundle.id === id)) continue;
      const facts = { id, name, images, charts, totalBytes: contentBytes, medium: medium.name };
      this.#status.updateBundle(path, { ...facts, ...(baseId === undefined ? {} : { baseId }), state: 'found' });
    }
    const problems = [...media.problems, ...found.problems];
    const known = new Set(this.#status.current.problems.map(({ message }) => message));
    for (const problem of problems) if (!known.has(problem.message)) this.#reporter.warn(problem.message);
    this.#status.update({
      problems: problems.map((problem) => errorRecord(problem)),
      skipped: [...found.skipped],
    });
  }

  async #settle(bundle: FoundBundle, all: readonly FoundBundle[]): Promise<void> {
    const { config, signal } = this.#options;
    const { path, id, digest, name, baseId, version, images, charts, contentBytes } = bundle;
    const isLoaded = (await this.#markers.find(digest)) !== undefined;
    const now = (): string => new Date().toISOString();
    try {
      if (isLoaded && !config.recheck) {
        this.#status.updateBundle(path, { state: 'already-loaded', doneBytes: contentBytes, finishedAt: now() });
      } else {
        if (baseId !== undefined && this.#failedIds.has(baseId)) throw baseFailed(bundle);
        this.#status.updateBundle(path, { startedAt: now() });
        const told = { status: this.#status, reporter: this.#reporter };
        const wait = { limitMs: config.wait.registry, onEvent: waitTold(bundle, told), signal };
        this.#registry ??= await openRegistry(config, wait);
        await loadFoundBundle(bundle, {
          config,
          registry: this.#registry,
          ...told,
          preflight: this.#preflight,
          trust: this.#trust,
          all: all.filter((other) => !this.#settled.has(other.version)),
          signal,
        });
        await this.#markers.add({ bundle: { id, digest, name }, images, charts });
        this.#status.updateBundle(path, { state: 'loaded', doneBytes: contentBytes, finishedAt: now() });
      }
      this.#settled.add(version);
      this.#failures.delete(path);
      await this.#reporter.changed({ state: 'loading', waiting: undefined });
    } catch (error) {
      throwIfAborted(signal);
      if (!isEdgeBundleError(error)) throw error;
      this.#settled.add(version);
      this.#failedIds.add(id);
      await this.#fail({ path, medium: bundle.medium.name }, error.about(`bundle ${name} ${id}`));
    }
  }

  async #fail(
    { path, medium }: { readonly path: string; readonly medium: string },
    cause: EdgeBundleError,
  ): Promise<void> {
    const error = forConfig(cause);
    this.#failures.set(path, error);
    this.#reporter.warn(error.message);
    const finishedAt = new Date().toISOString();
    this.#status.updateBundle(path, { medium, state: 'failed', finishedAt, error: errorRecord(error) });
    await this.#reporter.changed({ waiting: undefined });
  }

  /** The ids that are required, were not loaded before, and are not there. */
  async #missing({ bundles }: SearchResult): Promise<readonly string[]> {
    const loaded = new Set((await this.#markers.list()).map(({ bundle }) => bundle.id));
    return this.#options.config.require.filter((id) => !loaded.has(id) && !bundles.some((bundle) => bundle.id === id));
  }

  /** Where nothing is required by name, something has to be there, or have been there before. */
  async #isAnythingThere({ bundles }: SearchResult): Promise<boolean> {
    if (this.#options.config.require.length > 0 || bundles.length > 0) return true;
    return (await this.#markers.list()).length > 0;
  }

  async #wait({ absent }: FoundMedia, missing: readonly string[], beganMs: number): Promise<void> {
    const { signal, pollMs: ms = pollMs } = this.#options;
    const { skipped } = this.#status.current;
    const foreign = skipped.length === 0 ? '' : `; ${skipped.length} files are no bundles of ours`;
    const what = missing.length === 0 ? 'no bundle' : `no bundle ${missing.join(', ')}`;
    const reason = `there is ${what}; not there: ${absent.join(', ') || 'no other medium'}${foreign}`;
    const since = new Date(Date.now() - (performance.now() - beganMs)).toISOString();
    const waiting = { for: 'content', since, reason } as const;
    if (this.#status.current.waiting?.reason === reason) this.#status.update({ waiting });
    else await this.#reporter.changed({ state: 'waiting-for-content', waiting });
    await pause(ms, signal);
    this.#status.update({ waiting });
  }

  #missingError(missing: readonly string[], { absent }: FoundMedia): readonly EdgeBundleError[] {
    const hint = `Bring the medium with it; then it is found. Not there: ${absent.join(', ') || 'no other medium'}.`;
    const all = missing.map((id) => `bundle ${id}, which is required, is not there`);
    const messages = missing.length > 0 ? all : this.#failures.size > 0 ? [] : ['there is no bundle anywhere'];
    return messages.map((message) => new EdgeBundleError('BUNDLE_MISSING', message, { hint }));
  }

  #ensureNoFailures(): void {
    if (this.#failures.size > 0) throw this.#summary([]);
  }

  #summary(more: readonly EdgeBundleError[]): EdgeBundleError {
    const failures = [...this.#failures.values(), ...more];
    const [first] = failures;
    if (first !== undefined && failures.length === 1) return first;
    const { registry } = this.#status.current;
    return combineFailures('FAILED', `${failures.length} bundles could not be loaded into ${registry}`, failures);
  }
}

function baseFailed({ baseId = '' }: FoundBundle): EdgeBundleError {
  return new EdgeBundleError('BUNDLE_MISSING', `it builds on bundle ${baseId}, which could not be loaded`, {
    hint: 'Mend that one: this one is loaded after it.',
  });
}
