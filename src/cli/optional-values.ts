/** What `--plain-http` alone means: every registry. */
export const everyRegistry = '*';
/** What `--wait` alone means. */
export const withoutLimit = 'without-limit';

const impliedValues: ReadonlyMap<string, string> = new Map([
  ['--plain-http', everyRegistry],
  ['--wait', withoutLimit],
]);

/**
 * These options take a value only after `=`. The parser would take the next argument, which is the bundle in
 * `load --plain-http BUNDLE`, so they get the value that they stand for here.
 */
export function completeOptionalValues(args: readonly string[]): string[] {
  const end = args.indexOf('--');
  return args.map((arg, index) => {
    const value = impliedValues.get(arg);
    return value !== undefined && (end === -1 || index < end) ? `${arg}=${value}` : arg;
  });
}
