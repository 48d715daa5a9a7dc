import { setMaxListeners } from 'node:events';

import { EdgeBundleError } from '../errors.ts';

/** By the shell's rule: 128 and the signal's number. */
const exitCodes = { SIGINT: 130, SIGTERM: 143 } as const;

export interface Interrupt {
  readonly signal: AbortSignal;
  /** The exit code that the signal asks for; undefined where none came. */
  exitCode(): number | undefined;
  /** Stops listening. */
  release(): void;
}

/** Turns the first SIGINT or SIGTERM into an abort, so that what runs ends in order. A second one exits at once. */
export function listenForInterrupt(): Interrupt {
  const controller = new AbortController();
  // Each of many requests at once listens to it.
  setMaxListeners(0, controller.signal);
  let exitCode: number | undefined;
  const onSignal = (signal: keyof typeof exitCodes): void => {
    if (exitCode !== undefined) process.exit(exitCode);
    exitCode = exitCodes[signal];
    controller.abort(
      new EdgeBundleError('ABORTED', `interrupted by ${signal}`, {
        hint: 'Run the same command again: it goes on from what it could keep.',
      }),
    );
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return {
    signal: controller.signal,
    exitCode: () => exitCode,
    release: () => void process.off('SIGINT', onSignal).off('SIGTERM', onSignal),
  };
}
