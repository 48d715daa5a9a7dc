import { redact } from './redaction.ts';

/**
 * Every way in which an operation of edge-bundle can fail, and the exit code that the command line gives for it.
 * The table in docs/errors.md explains each one; a test compares the two.
 *
 * 1 failed, 2 usage, 3 content missing or not verified, 4 trust, 75 try again later (EX_TEMPFAIL).
 */
export const exitCodes = {
  USAGE: 2,
  REFERENCE_INVALID: 1,
  PROFILE_INVALID: 1,
  MACRO_UNRESOLVED: 3,
  PACK_NOT_FOUND: 3,
  CONFIG_INVALID: 1,
  CREDENTIALS_INVALID: 1,
  AUTH_FAILED: 1,
  ACCESS_DENIED: 1,
  TLS_UNTRUSTED: 1,
  REGISTRY_ERROR: 1,
  REGISTRY_UNAVAILABLE: 75,
  TIMEOUT: 75,
  TRANSFER_INCOMPLETE: 75,
  NOT_FOUND: 3,
  CONTENT_MISSING: 3,
  BASE_MISSING: 3,
  CONTENT_INVALID: 1,
  CONTENT_TOO_LARGE: 1,
  UNSUPPORTED: 1,
  SIZE_MISMATCH: 4,
  DIGEST_MISMATCH: 4,
  SIGNATURE_MISSING: 4,
  SIGNATURE_INVALID: 4,
  BUNDLE_OUTDATED: 4,
  KEY_INVALID: 1,
  ARCHIVE_INVALID: 1,
  CHART_INVALID: 1,
  HELM_MISSING: 1,
  RENDER_FAILED: 3,
  RENDER_LIMIT: 3,
  BUNDLE_INVALID: 3,
  BUNDLE_PART_MISSING: 3,
  BUNDLE_MISSING: 3,
  NOT_VERIFIED: 3,
  NO_SPACE: 1,
  FILE_FAILED: 1,
  LOCKED: 75,
  HARBOR_ERROR: 1,
  PALETTE_ERROR: 1,
  QUOTA_EXCEEDED: 1,
  READ_ONLY: 75,
  GARBAGE_COLLECTION: 75,
  TAG_IMMUTABLE: 1,
  TOOL_FAILED: 1,
  XORRISO_MISSING: 1,
  ISO_INVALID: 3,
  ISO_FAILED: 1,
  ABORTED: 1,
  FAILED: 1,
} as const;

export type ErrorCode = keyof typeof exitCodes;

export interface EdgeBundleErrorOptions {
  /** What the user can do about it: one sentence. */
  readonly hint?: string;
  readonly cause?: unknown;
  /** The failures that this one sums up, so that many are reported in one run. */
  readonly failures?: readonly EdgeBundleError[];
}

/**
 * The one error class of the project. The message says what failed, on what, what was expected and what came.
 * Known secrets are removed from message and hint in the constructor (see `redaction.ts`).
 */
export class EdgeBundleError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly failures: readonly EdgeBundleError[];

  constructor(code: ErrorCode, message: string, options: EdgeBundleErrorOptions = {}) {
    super(redact(message), options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'EdgeBundleError';
    this.code = code;
    this.hint = options.hint === undefined ? undefined : redact(options.hint);
    this.failures = options.failures ?? [];
  }

  get exitCode(): number {
    return exitCodes[this.code];
  }

  /** The same error, saying what it is about: `subject: message`. */
  about(subject: string): EdgeBundleError {
    const { code, hint, failures } = this;
    return new EdgeBundleError(code, `${subject}: ${this.message}`, {
      ...(hint === undefined ? {} : { hint }),
      failures,
      cause: this,
    });
  }
}

/** Whether `error` is an EdgeBundleError, of one of `codes` where any are given. */
export function isEdgeBundleError(error: unknown, ...codes: ErrorCode[]): error is EdgeBundleError {
  return error instanceof EdgeBundleError && (codes.length === 0 || codes.includes(error.code));
}

/** The message of anything that was thrown, with known secrets removed. */
export function errorMessage(error: unknown): string {
  return redact(error instanceof Error ? error.message : String(error));
}

/** The `code` of a Node.js system error (`ENOENT`), or undefined. */
export function systemErrorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Throws an ABORTED error where `signal` has been aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw abortedError(signal);
}

/** The error that an aborted operation ends with; an EdgeBundleError given as the reason is kept. */
export function abortedError(signal: AbortSignal): EdgeBundleError {
  const reason: unknown = signal.reason;
  return isEdgeBundleError(reason) ? reason : new EdgeBundleError('ABORTED', 'interrupted', { cause: reason });
}

/**
 * One error for many: all of them are in `failures`, and the code is theirs where they agree, `code` otherwise.
 *
 * @param message says what failed as a whole
 */
export function combineFailures(
  code: ErrorCode,
  message: string,
  failures: readonly EdgeBundleError[],
): EdgeBundleError {
  const [first, ...others] = failures;
  const common = first !== undefined && others.every((other) => other.code === first.code) ? first.code : code;
  const hint = failures.find((failure) => failure.hint !== undefined)?.hint;
  return new EdgeBundleError(common, message, { ...(hint === undefined ? {} : { hint }), failures, cause: first });
}
