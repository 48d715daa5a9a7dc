import { EdgeBundleError } from '../errors.ts';

/**
 * Of the published versions of a chart the wanted one, or the highest that is no pre-release: SemVer 2.0.0, section 11, with
 * or without a `v`.
 *
 * @param what names the chart and its place in the message
 * @throws EdgeBundleError NOT_FOUND
 */
export function chooseVersion(published: readonly string[], wanted: string | undefined, what: string): string {
  if (published.length === 0) throw new EdgeBundleError('NOT_FOUND', `${what}: there is no such chart`);
  const sorted = published.filter((version) => parse(version) !== undefined).sort((a, b) => compare(b, a));
  const found =
    wanted === undefined
      ? sorted.find((version) => parse(version)?.prerelease.length === 0)
      : (published.find((version) => version === wanted) ??
        published.find((version) => bare(version) === bare(wanted)));
  if (found !== undefined) return found;
  const asked = wanted === undefined ? 'a version that is no pre-release' : `version ${wanted}`;
  throw new EdgeBundleError('NOT_FOUND', `${what}: it does not have ${asked}`, {
    hint: `It has: ${(sorted.length === 0 ? published : sorted).slice(0, 5).join(', ')}.`,
  });
}

interface Version {
  readonly numbers: readonly number[];
  readonly prerelease: readonly string[];
}

function parse(text: string): Version | undefined {
  const { core, prerelease } =
    /^(?<core>\d{1,15}(\.\d{1,15}){0,2})(-(?<prerelease>[0-9A-Za-z.-]+))?(\+.*)?$/.exec(bare(text))?.groups ?? {};
  return core === undefined
    ? undefined
    : { numbers: core.split('.').map(Number), prerelease: prerelease?.split('.') ?? [] };
}

function bare(version: string): string {
  return version.replace(/^v/, '');
}

function compare(first: string, second: string): number {
  const [a, b] = [parse(first), parse(second)];
  if (a === undefined || b === undefined) return 0;
  for (let index = 0; index < 3; index += 1) {
    const difference = (a.numbers[index] ?? 0) - (b.numbers[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return comparePrereleases(a.prerelease, b.prerelease);
}

/** None is higher than any; numbers are lower than words; of two that begin alike the longer is higher. */
function comparePrereleases(a: readonly string[], b: readonly string[]): number {
  if (a.length === 0 || b.length === 0) return b.length - a.length;
  for (const [index, first] of a.entries()) {
    const second = b[index];
    if (second === undefined) return 1;
    if (first === second) continue;
    const [isNumber, isOtherNumber] = [/^\d+$/.test(first), /^\d+$/.test(second)];
    if (isNumber && isOtherNumber) return Number(first) - Number(second);
    if (isNumber !== isOtherNumber) return isNumber ? -1 : 1;
    return first < second ? -1 : 1;
  }
  return a.length - b.length;
}
