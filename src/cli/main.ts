#!/usr/bin/env node
import { runCommandLine } from './command-line.ts';
import { listenForInterrupt } from './interrupt.ts';

// Whoever writes a result hears of its failure (`writeText`); of progress that cannot be written nobody could be told.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

const interrupt = listenForInterrupt();
const { stdin, stdout, stderr, env } = process;
const exitCode = await runCommandLine(process.argv.slice(2), {
  stdin,
  stdout,
  stderr,
  environment: env,
  signal: interrupt.signal,
});
interrupt.release();
process.exitCode = exitCode === 0 ? 0 : (interrupt.exitCode() ?? exitCode);
