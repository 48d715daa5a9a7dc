import { EdgeBundleError } from '../errors.ts';

/** The command line itself is wrong: exit code 2. */
export function usageError(message: string, hint?: string): EdgeBundleError {
  return new EdgeBundleError('USAGE', message, hint === undefined ? {} : { hint });
}

/** For `coerce`: a whole number of at least `least`. */
export function wholeNumber(option: string, least: number): (value: unknown) => number {
  return (value) => {
    const number = typeof value === 'string' && /^[0-9]+$/.test(value) ? Number(value) : value;
    if (typeof number === 'number' && Number.isSafeInteger(number) && number >= least) return number;
    throw usageError(`--${option}: expected a whole number of at least ${least}, '${String(value)}' came`);
  };
}
