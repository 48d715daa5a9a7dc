import type { OperationOptions } from '../content/store.ts';
import { EdgeBundleError, isEdgeBundleError, systemErrorCode, throwIfAborted } from '../errors.ts';
import { pause } from './abortable.ts';

/** What is told of a wait, once before each pause, and when it has ended well. */
export type WaitEvent =
  | {
      readonly type: 'waiting';
      /** Why it is not ready. */
      readonly reason: EdgeBundleError;
      /** Since the wait began. */
      readonly waitedMs: number;
      /** Until it is asked again. */
      readonly delayMs: number;
    }
  | { readonly type: 'ready'; readonly waitedMs: number };

export interface WaitOptions extends OperationOptions {
  /** For how long. Default: no limit. */
  readonly limitMs?: number | undefined;
  /** The first pause; each is up to twice the one before. Default: 500. */
  readonly baseMs?: number | undefined;
  /** What no pause is longer than. Default: 15,000. */
  readonly maxMs?: number | undefined;
  /** It returns soon and does not throw. */
  readonly onEvent?: ((event: WaitEvent) => void) | undefined;
}

/**
 * Asks `probe` until it does not throw any more: pauses that grow up to a limit, each at random between a half and the whole
 * of it, so that many who wait do not come together.
 *
 * @throws EdgeBundleError what does not pass by waiting, at once (AUTH_FAILED, TLS_UNTRUSTED, CONFIG_INVALID, …); at the limit
 *   the last reason; ABORTED
 */
export async function waitFor(probe: () => Promise<void>, options: WaitOptions = {}): Promise<void> {
  const { limitMs = Infinity, baseMs = 500, maxMs = 15_000, onEvent, signal } = options;
  const beganMs = performance.now();
  for (let ceilingMs = baseMs; ; ceilingMs = Math.min(maxMs, ceilingMs * 2)) {
    throwIfAborted(signal);
    try {
      await probe();
      onEvent?.({ type: 'ready', waitedMs: performance.now() - beganMs });
      return;
    } catch (error) {
      throwIfAborted(signal);
      if (!isEdgeBundleError(error) || !mayPass(error)) throw error;
      const waitedMs = performance.now() - beganMs;
      if (waitedMs >= limitMs) throw gaveUp(error, waitedMs);
      const delayMs = Math.min(ceilingMs * (0.5 + Math.random() / 2), limitMs - waitedMs);
      onEvent?.({ type: 'waiting', reason: error, waitedMs, delayMs });
      await pause(delayMs, signal);
    }
  }
}

/** Whether it may be over when it is tried again later, without anybody changing anything. */
function mayPass(error: EdgeBundleError): boolean {
  // The clock of a machine without a battery is set when the network is there.
  if (error.code === 'TLS_UNTRUSTED') return systemErrorCode(error.cause) === 'CERT_NOT_YET_VALID';
  return passingCodes.has(error.code);
}

/** While a server starts, what stands before it answers instead: with errors, and pages that are none of its own. */
const passingCodes: ReadonlySet<string> = new Set([
  'REGISTRY_UNAVAILABLE',
  'READ_ONLY',
  'TIMEOUT',
  'TRANSFER_INCOMPLETE',
  'REGISTRY_ERROR',
  'HARBOR_ERROR',
]);

function gaveUp(error: EdgeBundleError, waitedMs: number): EdgeBundleError {
  // Whatever it was, it has been waited for: the next run may meet something else.
  const code = error.code === 'READ_ONLY' || error.code === 'TIMEOUT' ? error.code : 'REGISTRY_UNAVAILABLE';
  return new EdgeBundleError(code, `${error.message} (waited ${Math.round(waitedMs / 1000)} s)`, {
    hint: error.hint ?? 'It may still be starting: try again later, or wait longer.',
    cause: error,
  });
}
