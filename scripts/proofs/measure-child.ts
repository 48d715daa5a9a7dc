import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';

export interface MeasuredChild {
  readonly stdout: string;
  readonly durationMs: number;
  /** Of the process, whatever it became by exec; what ended within a poll of its start is not seen. */
  readonly peakMemoryBytes: number;
}

const pollMs = 50;

/** Runs a program to its end, watching its memory. @throws Error with its stderr where it fails */
export async function measureChild([program = '', ...args]: readonly string[]): Promise<MeasuredChild> {
  const started = performance.now();
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr, peakMemoryBytes] = ['', '', 0];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const poll = setInterval(() => {
    void readFile(`/proc/${child.pid ?? 0}/status`, 'utf8').then(
      (status) => {
        const [, kib = '0'] = /^VmHWM:\s+(\d+) kB$/m.exec(status) ?? [];
        peakMemoryBytes = Math.max(peakMemoryBytes, Number(kib) * 1024);
      },
      () => undefined,
    );
  }, pollMs);
  const [code] = (await once(child, 'close')) as [number | null];
  clearInterval(poll);
  if (code !== 0) throw new Error(`${program} ${args.join(' ')}: ended with ${code ?? 'a signal'}\n${stderr}`);
  return { stdout, durationMs: performance.now() - started, peakMemoryBytes };
}
