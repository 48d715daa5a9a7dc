#!/usr/bin/env node
import { runCommandLine } from './command-line.ts';
import { listenForInterrupt } from './interrupt.ts';

// A reader that ends early (`| head`) is no failure; what is written after it is lost, as it wants.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

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
