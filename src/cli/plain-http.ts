/** What `--plain-http` alone means: every registry. */
export const everyRegistry = '*';

/**
 * `--plain-http` takes a host only after `=`. The parser would take the next argument, which is the bundle in
 * `load --plain-http BUNDLE`, so the option gets its value here.
 */
export function completePlainHttp(args: readonly string[]): string[] {
  const end = args.indexOf('--');
  return args.map((arg, index) =>
    arg === '--plain-http' && (end === -1 || index < end) ? `--plain-http=${everyRegistry}` : arg,
  );
}
