import { afterEach, vi } from 'vitest';

const aheadMs = { monotonic: 0, wall: 0 };
let areMine = false;

afterEach(() => {
  aheadMs.monotonic = 0;
  aheadMs.wall = 0;
});

/**
 * Lets time pass for what this process reads of its clocks, performance.now() and Date.now(), until the end of the test:
 * nobody waits, and how busy the machine is makes no difference. Timers are not hastened.
 *
 * @param clocks the monotonic one alone, where programs are asked that have their own
 */
export function passTime(ms: number, clocks: 'both' | 'monotonic' = 'both'): void {
  if (!areMine) {
    areMine = true;
    const [monotonic, wall] = [performance.now.bind(performance), Date.now];
    vi.spyOn(performance, 'now').mockImplementation(() => monotonic() + aheadMs.monotonic);
    vi.spyOn(Date, 'now').mockImplementation(() => wall() + aheadMs.wall);
  }
  aheadMs.monotonic += ms;
  if (clocks === 'both') aheadMs.wall += ms;
}
