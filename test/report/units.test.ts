import { describe, expect, it } from 'vitest';

import { formatBytes, formatDuration } from '../../src/report/units.ts';

describe('formatBytes', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.0 kB'],
    [1049, '1.0 kB'],
    [1051, '1.1 kB'],
    [99_949, '99.9 kB'],
    [99_951, '100 kB'],
    [999_499, '999 kB'],
    [999_500, '1.0 MB'],
    [673_000_000, '673 MB'],
    [20_000_000_000, '20.0 GB'],
    [3_200_000_000_000, '3.2 TB'],
    [5_000_000_000_000_000_000, '5000 PB'],
  ])('writes %d bytes as %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});

describe('formatDuration', () => {
  it.each([
    [0, '0 ms'],
    [999.4, '999 ms'],
    [999.6, '1.0 s'],
    [2_740, '2.7 s'],
    [59_900, '59.9 s'],
    [59_960, '1 min 00 s'],
    [65_000, '1 min 05 s'],
    [3_599_600, '1 h 00 min'],
    [7_380_000, '2 h 03 min'],
  ])('writes %d milliseconds as %s', (durationMs, text) => {
    expect(formatDuration(durationMs)).toBe(text);
  });
});
