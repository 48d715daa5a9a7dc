import { describe, expect, it } from 'vitest';

import { exitCodeOf, formatFailure } from '../../src/cli/failure.ts';
import { EdgeBundleError } from '../../src/errors.ts';
import { registerSecret } from '../../src/redaction.ts';

const text = { log: 'text', stack: false } as const;

describe('formatFailure', () => {
  it('lists the failures of groups, each once, and a hint that they share once', () => {
    const hint = 'Log in.';
    const leaf = (message: string, own?: string) =>
      new EdgeBundleError('NOT_FOUND', message, own === undefined ? {} : { hint: own });
    const group = new EdgeBundleError('FAILED', 'group', { failures: [leaf('one', hint), leaf('two', 'Push it.')] });
    const error = new EdgeBundleError('CONTENT_MISSING', 'all', { hint, failures: [group, leaf('three')] });
    expect(formatFailure(error, text)).toBe('error: all\n  one\n  two (Push it.)\n  three\nhint: Log in.\n');
    expect(exitCodeOf(error)).toBe(3);
  });

  it('calls what is no EdgeBundleError unexpected, and shows its stack when asked', () => {
    const error = new TypeError('x is not a function', { cause: new RangeError('the cause') });
    expect(formatFailure(error, text)).toMatch(/^error: unexpected: x is not a function\nhint: .*EDGE_BUNDLE_DEBUG=1/);
    expect(formatFailure(error, text)).not.toContain('failure.test');
    const long = formatFailure(error, { log: 'text', stack: true });
    expect(long).toMatch(/TypeError: x is not a function\n +at .*failure\.test/);
    expect(long).toContain('RangeError: the cause');
    expect(exitCodeOf(error)).toBe(1);
  });

  it('shows no secret, not even in a stack', () => {
    registerSecret('hunter2-for-test');
    const error = new Error('wrong: hunter2-for-test', { cause: new Error('https://u:p4ssw0rd@host/') });
    for (const log of ['text', 'json'] as const) {
      expect(formatFailure(error, { log, stack: true })).not.toMatch(/hunter2-for-test|p4ssw0rd/);
    }
  });
});
