import { describe, expect, it } from 'vitest';

import {
  abortedError,
  EdgeBundleError,
  errorMessage,
  exitCodes,
  isEdgeBundleError,
  systemErrorCode,
  throwIfAborted,
} from '../../src/errors.ts';
import { registerSecret } from '../../src/redaction.ts';

describe('an error', () => {
  it('tells its code, hint, cause, failures and exit code', () => {
    const cause = new Error('below');
    const failure = new EdgeBundleError('NOT_FOUND', 'one image');
    const error = new EdgeBundleError('CONTENT_MISSING', 'images are missing', {
      hint: 'Check the profile.',
      cause,
      failures: [failure],
    });
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({
      name: 'EdgeBundleError',
      code: 'CONTENT_MISSING',
      hint: 'Check the profile.',
      cause,
    });
    expect(error.failures).toEqual([failure]);
    expect(error.exitCode).toBe(3);
  });

  it('has no cause and no failures where none are given', () => {
    const error = new EdgeBundleError('FAILED', 'x');
    expect('cause' in error).toBe(false);
    expect(error.hint).toBeUndefined();
    expect(error.failures).toEqual([]);
  });

  it('never tells a registered secret', () => {
    registerSecret('hunter2-is-secret');
    const error = new EdgeBundleError('AUTH_FAILED', 'wrong: hunter2-is-secret', { hint: 'not hunter2-is-secret' });
    expect(`${error.message} ${error.hint ?? ''} ${error.stack ?? ''}`).not.toContain('hunter2');
  });

  it('has one of the exit codes of the design', () => {
    for (const exitCode of Object.values(exitCodes)) expect([1, 2, 3, 4, 75]).toContain(exitCode);
  });

  it('is recognised by its code', () => {
    const error = new EdgeBundleError('LOCKED', 'held');
    expect(isEdgeBundleError(error)).toBe(true);
    expect(isEdgeBundleError(error, 'NOT_FOUND', 'LOCKED')).toBe(true);
    expect(isEdgeBundleError(error, 'NOT_FOUND')).toBe(false);
    expect(isEdgeBundleError(new Error('held'))).toBe(false);
    expect(isEdgeBundleError(undefined)).toBe(false);
  });
});

describe('anything that is thrown', () => {
  it('has a message without secrets', () => {
    registerSecret('another-secret');
    expect(errorMessage(new Error('it is another-secret'))).toBe('it is [redacted]');
    expect(errorMessage('another-secret')).toBe('[redacted]');
    expect(errorMessage(undefined)).toBe('undefined');
  });

  it('has the code of a system error, where it has one', () => {
    expect(systemErrorCode(Object.assign(new Error('x'), { code: 'ENOENT' }))).toBe('ENOENT');
    expect(systemErrorCode(Object.assign(new Error('x'), { code: 7 }))).toBeUndefined();
    expect(systemErrorCode(new Error('x'))).toBeUndefined();
    expect(systemErrorCode({ code: 'ENOENT' })).toBeUndefined();
  });
});

describe('an abort', () => {
  it('is an ABORTED error with the reason as its cause', () => {
    const reason = new Error('Ctrl-C');
    expect(() => throwIfAborted(AbortSignal.abort(reason))).toThrow(
      expect.objectContaining({ code: 'ABORTED', cause: reason }) as Error,
    );
    expect(() => throwIfAborted(new AbortController().signal)).not.toThrow();
    expect(() => throwIfAborted(undefined)).not.toThrow();
  });

  it('keeps an error of this project that is the reason', () => {
    const reason = new EdgeBundleError('TIMEOUT', 'too slow');
    expect(abortedError(AbortSignal.abort(reason))).toBe(reason);
  });
});
