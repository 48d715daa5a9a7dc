import { expect } from 'vitest';

import { EdgeBundleError, type ErrorCode } from '../../src/errors.ts';

/** Runs `task`, which has to fail with `code` and with `part` in the message. @returns the error */
export async function expectError(code: ErrorCode, part: string, task: () => unknown): Promise<EdgeBundleError> {
  const error = await failureOf(Promise.resolve().then(task));
  expect(error.code, error.message).toBe(code);
  expect(error.message).toContain(part);
  return error;
}

/** The error that `running` ends with; whatever else it ends with fails the test. */
export async function failureOf(running: Promise<unknown>): Promise<EdgeBundleError> {
  try {
    await running;
  } catch (error) {
    if (error instanceof EdgeBundleError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}
