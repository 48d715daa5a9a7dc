import { execFileSync } from 'node:child_process';

export interface RunOptions {
  readonly cwd?: string | undefined;
  readonly input?: Uint8Array | undefined;
}

/** What a program writes to stdout. @throws Error with its stderr where it ends with another code than 0 */
export function runProgram(program: string, args: readonly string[], options: RunOptions = {}): Buffer {
  return execFileSync(program, args, { ...options, maxBuffer: 1024 * 1024 * 1024, stdio: 'pipe' });
}
