import { formatReference, parseReference } from '../oci-client/reference.ts';

/** Tells which images the user wants left out. */
export class Exclusions {
  readonly #patterns: readonly { readonly pattern: string; readonly matches: (reference: string) => boolean }[];
  readonly #used = new Set<string>();

  /**
   * @param patterns each a reference (`nginx:1.27`; without tag and digest, all of the repository's), or, with `*` and `?`,
   *   a glob over the normal form: `*` stands for any characters, slashes too (`docker.io/library/*`)
   * @throws EdgeBundleError REFERENCE_INVALID
   */
  constructor(patterns: readonly string[]) {
    this.#patterns = patterns.map((pattern) => ({ pattern, matches: matcher(pattern) }));
  }

  /** The pattern that leaves out `reference`, which is in normal form. */
  find(reference: string): string | undefined {
    const found = this.#patterns.filter(({ matches }) => matches(reference));
    for (const { pattern } of found) this.#used.add(pattern);
    return found[0]?.pattern;
  }

  /** The patterns that nothing has matched so far: most likely misspelt. */
  get unused(): readonly string[] {
    return this.#patterns.flatMap(({ pattern }) => (this.#used.has(pattern) ? [] : [pattern]));
  }
}

function matcher(pattern: string): (reference: string) => boolean {
  if (/[*?]/.test(pattern)) {
    const expression = pattern
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replace(/\*+/g, '.*')
      .replaceAll('?', '.');
    const glob = new RegExp(`^${expression}$`);
    return (reference) => glob.test(reference);
  }
  const wanted = parseReference(pattern);
  const normal = formatReference(wanted);
  const repository = `${wanted.registry}/${wanted.repository}`;
  if (normal === `${repository}:latest` && !pattern.endsWith(':latest')) {
    return (reference) => {
      const { registry, repository: name } = parseReference(reference);
      return `${registry}/${name}` === repository;
    };
  }
  return (reference) => reference === normal;
}
