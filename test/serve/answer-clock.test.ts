import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { AnswerClock } from '../../src/serve/answer-clock.ts';

const MiB = 1024 * 1024;

let isOver = false;
let clock: AnswerClock;

beforeEach(() => {
  vi.useFakeTimers();
  isOver = false;
  clock = new AnswerClock({ startMs: 60_000, minBytesPerSecond: 512, onOver: () => (isOver = true) });
});
afterEach(() => {
  vi.useRealTimers();
});

function pass(seconds: number): boolean {
  vi.advanceTimersByTime(seconds * 1000);
  return isOver;
}

describe('the clock of an answer', () => {
  it('gives time to begin with, and more with each byte', () => {
    clock.runs(512 * 100);
    expect(pass(159)).toBe(false);
    expect(pass(2)).toBe(true);
  });

  it('goes on for ever for who takes the least that is expected', () => {
    for (let count = 0; count < 10_000; count += 1) {
      clock.runs(512 * 10);
      expect(pass(10)).toBe(false);
      clock.rests();
    }
  });

  it('ends for who takes a little less', () => {
    let count = 0;
    for (; !isOver && count < 1_000; count += 1) {
      clock.runs(512 * 10);
      pass(11);
      clock.rests();
    }
    // A second is lost each time, and there are 60.
    expect(count).toBe(60);
  });

  it('does not run while nothing is there to be taken', () => {
    clock.runs(512);
    pass(60);
    clock.rests();
    expect(pass(1_000_000)).toBe(false);
    clock.runs(0);
    expect(pass(0.9)).toBe(false);
    expect(pass(0.2)).toBe(true);
  });

  it('lets who was quick rest for as long as buffers may hold bytes, and no longer', () => {
    for (let count = 0; count < 1_000; count += 1) clock.runs(MiB);
    const savedUp = (16 * MiB) / 512 + 60;
    expect(pass(savedUp - 1)).toBe(false);
    expect(pass(2)).toBe(true);
  });

  it('does not end at once where a timer cannot be as long as it should', () => {
    clock = new AnswerClock({ startMs: 1, minBytesPerSecond: 1e-9, onOver: () => (isOver = true) });
    clock.runs(1);
    expect(pass(86_400)).toBe(false);
  });
});
