/** A version as a tag, as Helm writes it: `+` is no character of tags, and becomes `_`. */
export function versionTag(version: string): string {
  return version.replaceAll('+', '_');
}
