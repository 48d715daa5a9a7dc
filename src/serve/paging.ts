import { ProtocolError } from './protocol-error.ts';

export interface Page {
  readonly items: readonly string[];
  /** The last item of the page, where more follow. */
  readonly next: string | undefined;
}

/**
 * The part of a list that `n` and `last` ask for, in lexical order: OCI distribution-spec v1.1, "Listing Tags".
 *
 * @throws ProtocolError 400 where `n` is not a number
 */
export function page(items: readonly string[], query: URLSearchParams): Page {
  const n = query.get('n');
  if (n !== null && !/^\d{1,9}$/.test(n)) {
    throw new ProtocolError(400, 'PAGINATION_NUMBER_INVALID', `'n' is not a number of items: ${JSON.stringify(n)}`);
  }
  const last = query.get('last');
  const sorted = items.toSorted(lexical);
  const after = last === null ? sorted : sorted.filter((item) => lexical(item, last) > 0);
  if (n === null) return { items: after, next: undefined };
  const chosen = after.slice(0, Number(n));
  return { items: chosen, next: chosen.length < after.length ? chosen.at(-1) : undefined };
}

/** The `Link` header that leads to the page after `next` (RFC 8288). */
export function linkToNext(path: string, query: URLSearchParams, next: string): string {
  const following = new URLSearchParams(query);
  following.set('last', next);
  return `<${path}?${following.toString()}>; rel="next"`;
}

/** Case-insensitive alphanumeric order, as the specification says; what differs in case only has an order too. */
function lexical(a: string, b: string): number {
  return compare(a.toLowerCase(), b.toLowerCase()) || compare(a, b);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
