// Loaded into a measured process with `node --import`: at its exit it writes what it used, as the kernel counted it.
import { readFileSync, writeFileSync } from 'node:fs';

process.once('exit', () => {
  const path = process.env.USAGE_FILE ?? '';
  // write_bytes: what the process made dirty in the page cache of disks (proc(5)); sockets and tmpfs do not count.
  const written = /^write_bytes: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1];
  // proc(5): VmHWM, the most that the process has had. Not `maxRSS`, which begins with what its parent had.
  const peakKib = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  const peakMemoryBytes = Number(peakKib) * 1024;
  writeFileSync(path, JSON.stringify({ peakMemoryBytes, writtenBytes: Number(written) }));
});
