/** Which bytes an answer has. */
export interface ContentRange {
  readonly start: number;
  /** The last one of them, not the one behind it. */
  readonly last: number;
  /** Of the whole content; undefined where the server does not tell. */
  readonly size: number | undefined;
}

/** `Content-Range` of a 206 (RFC 9110, section 14.4); undefined where it is none, or no range that there can be. */
export function parseContentRange(text: string): ContentRange | undefined {
  const { start, last, size } =
    /^bytes (?<start>\d{1,15})-(?<last>\d{1,15})\/(?<size>\d{1,15}|\*)$/.exec(text)?.groups ?? {};
  if (start === undefined) return undefined;
  const range = { start: Number(start), last: Number(last), size: size === '*' ? undefined : Number(size) };
  const isPossible = range.start <= range.last && (range.size === undefined || range.last < range.size);
  return isPossible ? range : undefined;
}
