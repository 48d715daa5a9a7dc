import { setMaxListeners } from 'node:events';

import { EdgeBundleError, isEdgeBundleError } from '../errors.ts';
import { formatDuration } from '../report/units.ts';
import type { Terminal } from './terminal.ts';

/**
 * Runs `task` for at most `ms`; undefined is no limit. When they are over, the terminal that `task` has got is interrupted, and
 * what it ends with becomes TIMEOUT: the next run goes on from there.
 */
export async function withTimeBudget(
  ms: number | undefined,
  terminal: Terminal,
  task: (terminal: Terminal) => Promise<void>,
): Promise<void> {
  if (ms === undefined) return task(terminal);
  const over = new AbortController();
  const signal = AbortSignal.any([terminal.signal, over.signal]);
  // Each of many requests at once listens to it.
  setMaxListeners(0, signal);
  const timer = setTimeout(() => over.abort(), ms);
  try {
    await task({ ...terminal, signal });
  } catch (error) {
    if (!over.signal.aborted || terminal.signal.aborted || !isEdgeBundleError(error)) throw error;
    throw new EdgeBundleError('TIMEOUT', `stopped after ${formatDuration(ms)}, as --stop-after says`, {
      hint: 'What is finished is kept: the same command goes on from there.',
      failures: error.code === 'ABORTED' ? [] : [error],
      cause: error,
    });
  } finally {
    clearTimeout(timer);
  }
}
