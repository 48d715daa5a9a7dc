import type { PreflightDocument } from './documents.ts';
import { formatTable } from './table.ts';

/** What `preflight` tells people: a line for each check, and below what to do about those that are not good. */
export function formatPreflight({ checks }: PreflightDocument): string {
  const rows = checks.map(({ name, subject, status, message }) => [status, name, subject ?? '', message]);
  const hints = checks
    .filter(({ status, hint }) => status !== 'pass' && hint !== undefined)
    .map(({ name, hint }) => `${name}: ${hint ?? ''}\n`);
  return [formatTable(['status', 'check', 'of', 'found'], rows), ...(hints.length === 0 ? [] : ['\n', ...hints])].join(
    '',
  );
}
