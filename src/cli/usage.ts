import { EdgeBundleError } from '../errors.ts';

/** The command line itself is wrong: exit code 2. */
export function usageError(message: string, hint?: string): EdgeBundleError {
  return new EdgeBundleError('USAGE', message, hint === undefined ? {} : { hint });
}

const dayMs = 86_400_000;
const msOf: Readonly<Record<string, number>> = { '': 1000, s: 1000, m: 60_000, h: 3_600_000, d: dayMs };

/** A timer of Node.js for more than 2^31 ms, nearly 25 days, ends at once. */
export const maxTimerMs = 24 * dayMs;

/** For `coerce`: a duration as `90`, `90s`, `30m`, `12h` or `2d`, in milliseconds; of at most `mostMs`. */
export function duration(option: string, mostMs = Infinity): (value: unknown) => number {
  return (value) => {
    const { count, unit = '' } = /^(?<count>\d+(?:\.\d+)?)(?<unit>[smhd]?)$/.exec(String(value))?.groups ?? {};
    const ms = Number(count) * (msOf[unit] ?? NaN);
    if (ms > mostMs) throw usageError(`--${option}: '${String(value)}' is more than ${mostMs / dayMs} days`);
    if (ms > 0) return ms;
    throw usageError(`--${option}: expected a duration like 90s, 30m or 12h, '${String(value)}' came`);
  };
}

/** For `coerce`: a size as `0`, `500000`, `500M`, `20G`, or in powers of 1024 as `1.5Gi`; in bytes. */
export function byteSize(option: string): (value: unknown) => number {
  return (value) => {
    const bytes = parseBytes(String(value));
    if (bytes >= 0) return bytes;
    throw usageError(`--${option}: expected a size like 500M, 20G or 1.5Gi, '${String(value)}' came`);
  };
}

/** For `coerce`: as `byteSize`, and never nothing. @param reason why it cannot be */
export function positiveSize(option: string, reason: string): (value: unknown) => number {
  return (value) => {
    const bytes = byteSize(option)(value);
    if (bytes > 0) return bytes;
    throw usageError(`--${option}: ${reason}`);
  };
}

/** For `coerce`: the size of a part. */
export function partSize(option: string): (value: unknown) => number {
  return positiveSize(option, 'parts cannot be empty');
}

/** For `coerce`: bytes a second as `500000`, `500K`, `2M`, or in powers of 1024 as `1.5Mi`. */
export function bytesPerSecond(option: string): (value: unknown) => number {
  return (value) => {
    const bytes = parseBytes(String(value));
    if (bytes >= 1) return bytes;
    throw usageError(`--${option}: expected bytes a second like 500K, 2M or 1.5Mi, '${String(value)}' came`);
  };
}

/** NaN where `text` is no number of bytes. */
function parseBytes(text: string): number {
  const pattern = /^(?<count>\d+(?:\.\d+)?)(?<unit>[KMGT]?)(?<binary>i?)B?$/i;
  const { count, unit = '', binary } = pattern.exec(text)?.groups ?? {};
  const power = ['', 'K', 'M', 'G', 'T'].indexOf(unit.toUpperCase());
  return Math.floor(Number(count) * (binary === '' ? 1000 : 1024) ** power);
}

/** For `coerce`: a whole number of at least `least` and at most `most`. */
export function wholeNumber(option: string, least: number, most = Infinity): (value: unknown) => number {
  const range = most === Infinity ? `of at least ${least}` : `from ${least} to ${most}`;
  return (value) => {
    const number = typeof value === 'string' && /^[0-9]+$/.test(value) ? Number(value) : value;
    if (typeof number === 'number' && Number.isSafeInteger(number) && number >= least && number <= most) return number;
    throw usageError(`--${option}: expected a whole number ${range}, '${String(value)}' came`);
  };
}
