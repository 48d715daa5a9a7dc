import type { ByteRange } from '../content/store.ts';

export interface ResolvedRange extends ByteRange {
  readonly end: number;
}

/**
 * What a `Range` header asks of content of `size` bytes (RFC 9110, section 14.2). `whole` where there is none, or one
 * that a server may ignore: another unit, bad syntax, several ranges. `unsatisfiable` is answered with 416.
 */
export function parseRange(header: string | undefined, size: number): ResolvedRange | 'whole' | 'unsatisfiable' {
  const { first, last } = /^bytes=[ \t]*(?<first>\d*)-(?<last>\d*)[ \t]*$/i.exec(header ?? '')?.groups ?? {};
  if (first === undefined || last === undefined || (first === '' && last === '')) return 'whole';
  if (first === '') {
    const suffix = Number(last);
    return suffix === 0 || size === 0 ? 'unsatisfiable' : { start: Math.max(0, size - suffix), end: size };
  }
  const start = Number(first);
  if (last !== '' && Number(last) < start) return 'whole';
  if (start >= size) return 'unsatisfiable';
  return { start, end: last === '' ? size : Math.min(Number(last) + 1, size) };
}

/** The `Content-Range` of a chunk of an upload: OCI distribution-spec v1.1, "Pushing a blob in chunks". */
export function parseChunkRange(header: string): { readonly start: number; readonly end: number } | undefined {
  const { first, last } = /^(?<first>\d{1,15})-(?<last>\d{1,15})$/.exec(header)?.groups ?? {};
  if (first === undefined || last === undefined || Number(last) < Number(first)) return undefined;
  return { start: Number(first), end: Number(last) + 1 };
}
