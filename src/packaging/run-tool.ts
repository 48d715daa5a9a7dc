import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { abortedError, EdgeBundleError, errorMessage, systemErrorCode } from '../errors.ts';

export interface ToolOptions {
  readonly folder: string;
  readonly signal?: AbortSignal | undefined;
}

const maxOutputBytes = 256 * 1024 * 1024;
const run = promisify(execFile);

/**
 * Runs a program of this machine to its end, and gives its stdout.
 *
 * @throws EdgeBundleError TOOL_FAILED with what it said where it is missing or fails; ABORTED
 */
export async function runTool(
  program: string,
  args: readonly string[],
  { folder, signal }: ToolOptions,
): Promise<Buffer> {
  const options = { cwd: folder, signal, encoding: 'buffer', maxBuffer: maxOutputBytes } as const;
  try {
    return (await run(program, args, options)).stdout;
  } catch (cause) {
    if (signal?.aborted === true) throw abortedError(signal);
    if (systemErrorCode(cause) === 'ENOENT') {
      throw new EdgeBundleError('TOOL_FAILED', `'${program}' is not installed here`, { cause });
    }
    const said = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : '';
    throw new EdgeBundleError('TOOL_FAILED', `${program} failed: ${said === '' ? errorMessage(cause) : said}`, {
      cause,
    });
  }
}
