import { readdirSync, readFileSync } from 'node:fs';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { startEdgeBundle } from '../../../test/support/edge-bundle.ts';

export interface Usage {
  readonly seconds: number;
  /** Sent to disks by it and by the programs that it has started and that have ended: proc(5), `write_bytes`. */
  readonly writtenBytes: number;
  /** The most that it and those had in memory at one time, each counted at its own peak. */
  readonly peakBytes: number;
}

/** Runs edge-bundle to its end, and looks at it and at its children meanwhile. */
export async function measure(args: readonly string[]): Promise<Usage> {
  const started = performance.now();
  const child = startEdgeBundle(args);
  child.stdin?.end();
  child.stdout?.resume();
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const ended = once(child, 'close') as Promise<[number | null]>;
  let writtenBytes = 0;
  const peaks = new Map<number, number>();
  while (child.exitCode === null && child.signalCode === null) {
    for (const pid of [child.pid ?? 0, ...childrenOf(child.pid ?? 0)]) {
      const status = read(pid, 'status');
      note(peaks, pid, Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024);
    }
    // What a child has written is the parent's too as soon as it has ended.
    writtenBytes = Number(/^write_bytes: (\d+)$/m.exec(read(child.pid ?? 0, 'io'))?.[1] ?? writtenBytes);
    await sleep(20);
  }
  const [code] = await ended;
  if (code !== 0) throw new Error(`edge-bundle ${args.join(' ')}: exit code ${code}\n${said}`);
  return { seconds: (performance.now() - started) / 1000, writtenBytes, peakBytes: sum(peaks) };
}

function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
    );
  } catch {
    return [];
  }
}

function read(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return '';
  }
}

function note(values: Map<number, number>, pid: number, value: number): void {
  values.set(pid, Math.max(value, values.get(pid) ?? 0));
}

function sum(values: ReadonlyMap<number, number>): number {
  return [...values.values()].reduce((total, value) => total + value, 0);
}
