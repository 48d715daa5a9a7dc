import { redact } from '../redaction.ts';
import type { EndedRun } from './run-bounded.ts';
import { defaultMaxMemoryBytes, defaultMaxOutputBytes, defaultTimeoutMs, type HelmLimits } from './run-helm.ts';

export interface HelmReasonOptions extends HelmLimits {
  /** Is taken out of what Helm says: it is gone when somebody reads it. */
  readonly folder?: string | undefined;
}

const maxReasonLength = 2000;
const beginningLength = 500;

/** Whether a run met a bound, of time, memory or output: on another day, or another machine, it may do. */
export function metLimit({ outcome, stderr, killedBy }: EndedRun): boolean {
  return outcome === 'timeout' || outcome === 'output' || killedBy !== undefined || outOfMemory.test(stderr);
}

const outOfMemory = /^(fatal error|runtime): .*(out of memory|cannot allocate|failed to reserve)/m;

/** Why a run of Helm failed, in one line: the bound that it met, or Helm's own words. */
export function helmReason(ended: EndedRun, options: HelmReasonOptions): string {
  const { timeoutMs = defaultTimeoutMs, maxMemoryBytes = defaultMaxMemoryBytes } = options;
  const { maxOutputBytes = defaultMaxOutputBytes } = options;
  if (ended.outcome === 'timeout') return `it did not end within ${timeoutMs / 1000} s`;
  if (ended.outcome === 'output') return `it gives more than ${maxOutputBytes} bytes`;
  // Before lines are joined and cut: a part of a secret would not be known for one.
  const stderr = redact(ended.stderr);
  const { killedBy } = ended;
  if (outOfMemory.test(stderr)) {
    return `it needs more than ${maxMemoryBytes} bytes of memory`;
  }
  if (killedBy !== undefined) return `Helm was ended by ${killedBy}: too much time or memory, or somebody stopped it`;
  const said = stderr.slice(Math.max(stderr.search(/^Error: /m), 0)).replace(/^Error: /, '');
  const line = (options.folder === undefined ? said : said.replaceAll(options.folder, ''))
    .replace('Use --debug flag to render out invalid YAML', '')
    // Control characters of a foreign text could play with the terminal.
    .replace(/[\s\p{C}]+/gu, ' ')
    .trim();
  return line === '' ? 'Helm failed without saying why' : shorten(line);
}

/** Of a chain of templates that call each other, the cause is the last. */
function shorten(line: string): string {
  if (line.length <= maxReasonLength) return line;
  return `${line.slice(0, beginningLength)} … ${line.slice(beginningLength - maxReasonLength)}`;
}
