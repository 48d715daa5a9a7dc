import { execFileSync } from 'node:child_process';

import { describe, expect, it } from 'vitest';

import { bootId } from '../../src/files/boot-id.ts';

describe('bootId', () => {
  it('is the one that the kernel tells', () => {
    expect(bootId()).toBe(execFileSync('cat', ['/proc/sys/kernel/random/boot_id'], { encoding: 'utf8' }).trim());
  });
});
