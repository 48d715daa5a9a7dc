import type { Terminal } from './terminal.ts';
import { usageError } from './usage.ts';

/** reproducible-builds.org, SOURCE_DATE_EPOCH: seconds since 1970. */
export function readSourceDateEpoch({ environment }: Terminal): number | undefined {
  const text = environment.SOURCE_DATE_EPOCH;
  if (text === undefined || text === '') return undefined;
  if (/^[0-9]{1,11}$/.test(text)) return Number(text);
  throw usageError(`SOURCE_DATE_EPOCH: expected seconds since 1970, '${text}' came`);
}
