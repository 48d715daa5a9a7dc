import { abortedError } from '../errors.ts';

/**
 * `promise`, or an ABORTED error as soon as `signal` is aborted. For work that several callers share, which goes on
 * for the others.
 */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  let stopWaiting = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    const onAbort = (): void => reject(abortedError(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    stopWaiting = () => signal.removeEventListener('abort', onAbort);
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    stopWaiting();
  }
}

/** Waits; or throws an ABORTED error, at once, where one of `signals` is aborted. */
export async function pause(ms: number, ...signals: readonly (AbortSignal | undefined)[]): Promise<void> {
  const present = signals.filter((signal) => signal !== undefined);
  let end = (): void => undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      const stop = (): void => {
        const aborted = present.find((signal) => signal.aborted);
        if (aborted !== undefined) reject(abortedError(aborted));
      };
      const timer = setTimeout(resolve, ms);
      for (const signal of present) signal.addEventListener('abort', stop, { once: true });
      end = () => {
        clearTimeout(timer);
        for (const signal of present) signal.removeEventListener('abort', stop);
      };
      stop();
    });
  } finally {
    end();
  }
}
