import { expect } from 'vitest';

import { EdgeBundleError, type ErrorCode } from '../../src/errors.ts';

/** Runs `task`, which has to fail with `code` and with `part` in the message. @returns the error */
export async function expectError(code: ErrorCode, part: string, task: () => unknown): Promise<EdgeBundleError> {
  const error = await failureOf(task);
  expect(error).toBeInstanceOf(EdgeBundleError);
  if (!(error instanceof EdgeBundleError)) throw error;
  expect(error.code, error.message).toBe(code);
  expect(error.message).toContain(part);
  return error;
}

async function failureOf(task: () => unknown): Promise<unknown> {
  try {
    await task();
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}
