/**
 * Which of two versions is older: negative where `one` is. Semantic Versioning 2.0.0, section 11; what is no such version
 * is older than what is one.
 */
export function compareVersions(one: string, other: string): number {
  const [a, b] = [parse(one), parse(other)];
  if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined);
  return compareLists(a.numbers, b.numbers) || comparePreReleases(a.preRelease, b.preRelease);
}

type Identifier = number | string;

function parse(version: string): { numbers: readonly number[]; preRelease: readonly Identifier[] } | undefined {
  const [, numbers, preRelease] = /^v?(\d+(?:\.\d+)*)(?:-([^+]+))?(?:\+.*)?$/.exec(version) ?? [];
  if (numbers === undefined) return undefined;
  const identifiers = preRelease?.split('.').map((part) => (/^\d+$/.test(part) ? Number(part) : part));
  return { numbers: numbers.split('.').map(Number), preRelease: identifiers ?? [] };
}

/** A version comes after its pre-releases. */
function comparePreReleases(one: readonly Identifier[], other: readonly Identifier[]): number {
  if (one.length === 0 || other.length === 0) return Number(one.length === 0) - Number(other.length === 0);
  return compareLists(one, other);
}

function compareLists(one: readonly Identifier[], other: readonly Identifier[]): number {
  for (const [index, a] of one.entries()) {
    const b = other[index];
    if (b === undefined) return 1;
    if (a === b) continue;
    if (typeof a === typeof b) return a < b ? -1 : 1;
    return typeof a === 'number' ? -1 : 1;
  }
  return one.length - other.length;
}
