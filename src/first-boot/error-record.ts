import type { EdgeBundleError, ErrorCode } from '../errors.ts';

/** An error as the status file has it. */
export interface ErrorRecord {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string;
  readonly failures: Omit<ErrorRecord, 'failures'>[];
}

/** A load of a thousand images that all fail must not make a file that nobody can read. */
const maxFailures = 20;

/** The error with what it sums up, however that is grouped. */
export function errorRecord(error: EdgeBundleError): ErrorRecord {
  const failures = leaves(error).slice(0, maxFailures);
  return { ...plain(error), failures: failures.map((failure) => plain(failure)) };
}

function plain({ code, message, hint }: EdgeBundleError): Omit<ErrorRecord, 'failures'> {
  return { code, message, ...(hint === undefined ? {} : { hint }) };
}

function leaves(error: EdgeBundleError): readonly EdgeBundleError[] {
  return error.failures.flatMap((failure) => (failure.failures.length > 0 ? leaves(failure) : [failure]));
}
