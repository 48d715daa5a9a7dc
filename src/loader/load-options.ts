import type { OperationOptions } from '../content/store.ts';
import type { WaitOptions } from '../oci-client/wait-for.ts';
import type { LoadEvent } from './load-events.ts';
import type { ProjectSettings, SettingsHost } from './project-settings.ts';
import type { ArtifactHost } from './registry-questions.ts';
import type { RegistryTarget } from './verify-registry.ts';

/** What a registry of projects does before content can come: `HarborClient`. */
export interface ProjectHost extends ArtifactHost, SettingsHost {
  /** @throws EdgeBundleError REGISTRY_UNAVAILABLE, READ_ONLY, … where it takes no content now */
  ensureReady(options: OperationOptions): Promise<void>;
  /** Returns when `ensureReady` has nothing to say against it. */
  waitUntilReady(options: WaitOptions): Promise<void>;
  ensureProject(name: string, options: ProjectSettings & OperationOptions): Promise<unknown>;
}

export interface LoadOptions extends RegistryTarget {
  /** Where the registry is a Harbor: makes sure of the project, and of the charts' where there are charts. */
  readonly harbor?: ProjectHost | undefined;
  readonly projectSettings?: ProjectSettings | undefined;
  /** Where it is kept what has been brought there, so that an interrupted load goes on. Default: nowhere. */
  readonly journal?: { readonly folder: string } | undefined;
  /**
   * A registry that takes nothing (it starts, restarts, is read-only or collects garbage) is waited for, each time for `limitMs` at most
   * (default: no limit). Without it the load fails, with an exit code that says to try again later.
   */
  readonly wait?: { readonly limitMs?: number | undefined } | undefined;
  /**
   * A blob that was last seen or sent so long ago is asked for again before a manifest that needs it, and sent again where the
   * registry has collected it meanwhile. Default: 600,000, well within the two hours that Harbor keeps what nothing refers to.
   */
  readonly touchAgainMs?: number | undefined;
  /** Is called while bytes pass: it returns soon and does not throw. */
  readonly onEvent?: ((event: LoadEvent) => void) | undefined;
}
