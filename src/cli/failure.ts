import { EdgeBundleError, errorMessage, isEdgeBundleError } from '../errors.ts';
import { redact } from '../redaction.ts';

export interface FailureFormat {
  /** `json`: one line, for machines. */
  readonly log: 'text' | 'json';
  /** Whether an unexpected error shows where it comes from. */
  readonly stack: boolean;
}

/** What the user reads on stderr where a command fails. Ends with a newline. */
export function formatFailure(error: unknown, { log, stack }: FailureFormat): string {
  const failure = isEdgeBundleError(error) ? error : unexpected(error);
  if (log === 'json') {
    const { code, message, hint } = failure;
    const failures = leaves(failure).map((each) => ({ code: each.code, message: each.message, hint: each.hint }));
    return `${JSON.stringify({ level: 'error', code, message, hint, failures })}\n`;
  }
  const lines = [`error: ${failure.message}`];
  for (const { message, hint } of leaves(failure)) {
    lines.push(hint === undefined || hint === failure.hint ? `  ${message}` : `  ${message} (${hint})`);
  }
  if (failure.hint !== undefined) lines.push(`hint: ${failure.hint}`);
  if (stack) lines.push(...stacks(error));
  return `${lines.join('\n')}\n`;
}

/** The exit code of the command line for what was thrown. */
export function exitCodeOf(error: unknown): number {
  return isEdgeBundleError(error) ? error.exitCode : 1;
}

function unexpected(error: unknown): EdgeBundleError {
  return new EdgeBundleError('FAILED', `unexpected: ${errorMessage(error)}`, {
    hint: 'This is a mistake in edge-bundle. EDGE_BUNDLE_DEBUG=1 shows where it happens.',
    cause: error,
  });
}

/** The single failures that an error sums up, however it groups them. */
function leaves(error: EdgeBundleError): EdgeBundleError[] {
  return error.failures.flatMap((failure) => (failure.failures.length > 0 ? leaves(failure) : [failure]));
}

function stacks(error: unknown): string[] {
  const lines: string[] = [];
  for (let current = error; current instanceof Error; current = current.cause) {
    lines.push(redact(current.stack ?? current.message));
  }
  return lines;
}
