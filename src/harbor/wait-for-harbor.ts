import type { OperationOptions } from '../content/store.ts';
import { waitFor, type WaitEvent, type WaitOptions } from '../oci-client/wait-for.ts';

export type { WaitEvent };

/** What can tell whether it is ready: `HarborClient`. */
export interface ReadinessSource {
  ensureReady(options: OperationOptions & { readonly isOneOfMany?: boolean | undefined }): Promise<void>;
}

/**
 * Waits until Harbor takes content: core, registry, database and redis are healthy, `/v2/` answers with this login, and it is
 * not read-only. Harbor answers HTTP 200 when it is ill, and what stands before it answers when it is not there: neither counts.
 *
 * @throws EdgeBundleError AUTH_FAILED, TLS_UNTRUSTED and others that no wait mends, at once; after `limitMs` REGISTRY_UNAVAILABLE,
 *   READ_ONLY or TIMEOUT with the last reason; ABORTED
 */
export async function waitForHarbor(client: ReadinessSource, options: WaitOptions = {}): Promise<void> {
  const { signal } = options;
  await waitFor(() => client.ensureReady({ signal, isOneOfMany: true }), options);
}
