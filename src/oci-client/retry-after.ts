import type { HttpResponse } from './http-response.ts';

/** Some registries ask for hours, and some send a date by a clock that is wrong. */
const maxRetryAfterMs = 5 * 60_000;

/**
 * How long an answer asks to wait, in seconds or up to a date (RFC 9110, section 10.2.3), at most 5 minutes; undefined
 * where it does not.
 */
export function retryAfterMs(response: HttpResponse): number | undefined {
  const text = response.header('retry-after')?.trim();
  if (text === undefined) return undefined;
  const ms = /^[0-9]+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), maxRetryAfterMs);
}
