import { EdgeBundleError, errorMessage, isEdgeBundleError, systemErrorCode } from '../errors.ts';

const hints: Readonly<Record<string, string>> = {
  ENOENT: 'Check the path.',
  EACCES: 'Check who owns it and its permissions.',
  EPERM: 'Check who owns it and its permissions.',
  EROFS: 'The file system is mounted read-only; choose another place.',
  EISDIR: 'A file is expected there, and it is a folder.',
  ENOTDIR: 'A folder is expected there, and it is a file.',
  EIO: 'The disk or medium cannot be read or written there: copy the file from another one, or to another one.',
  EMFILE: 'Raise the limit of open files (ulimit -n).',
};

/**
 * A system error as an EdgeBundleError: NO_SPACE for a full disk or quota, FILE_FAILED for the rest. An EdgeBundleError
 * stays as it is.
 */
export function fileError(error: unknown, what: string): EdgeBundleError {
  if (isEdgeBundleError(error)) return error;
  const code = systemErrorCode(error);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new EdgeBundleError('NO_SPACE', `${what}: no space left on the device`, {
      hint: 'Free some space or choose another place; what is finished is kept and the next run goes on from there.',
      cause: error,
    });
  }
  const hint = code === undefined ? undefined : hints[code];
  return new EdgeBundleError('FILE_FAILED', `${what}: ${errorMessage(error)}`, {
    ...(hint === undefined ? {} : { hint }),
    cause: error,
  });
}
