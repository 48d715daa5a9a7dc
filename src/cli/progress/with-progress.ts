import type { Terminal } from '../terminal.ts';
import { LineProgress } from './lines.ts';
import type { Progress } from './progress.ts';

export interface ProgressOptions {
  readonly log: 'text' | 'json';
  readonly quiet: boolean;
}

/** Runs `task` with the progress that the options ask for, and ends it. */
export async function withProgress(
  terminal: Terminal,
  options: ProgressOptions,
  task: (progress: Progress) => Promise<void>,
): Promise<void> {
  const progress = await startProgress(terminal, options);
  try {
    await task(progress);
  } finally {
    progress.end();
  }
}

/** Bars on a terminal; otherwise lines; nothing where the user wants it quiet. */
async function startProgress(terminal: Terminal, { log, quiet }: ProgressOptions): Promise<Progress> {
  if (quiet) return silence;
  const canRedraw = terminal.stderr.isTTY === true && terminal.environment.TERM !== 'dumb';
  if (log === 'json' || !canRedraw) return new LineProgress(terminal.stderr, log);
  const { BarProgress } = await import('./bars.ts');
  return new BarProgress(terminal.stderr);
}

const silence: Progress = {
  expect: () => undefined,
  copy: () => undefined,
  advance: () => undefined,
  note: () => undefined,
  warn: () => undefined,
  end: () => undefined,
};
