import { basename, join } from 'node:path';

import { runProgram } from './run-program.ts';
import { memoryFolder } from './temporary-folder.ts';

/** The parts that GNU split makes of a file, in a folder of their own. @returns what their paths have before `_part00` */
export async function gnuSplit(path: string, partBytes: number): Promise<string> {
  const base = join(await memoryFolder(), basename(path));
  runProgram('split', [`--bytes=${partBytes}`, '--numeric-suffixes', path, `${base}_part`]);
  return base;
}
