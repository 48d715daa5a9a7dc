import { readFileSync } from 'node:fs';

/** Names this boot of the machine, where the system tells it (Linux): what was written in it, and not flushed, is still readable. */
export function bootId(): string | undefined {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return undefined;
  }
}
