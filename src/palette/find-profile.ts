import { EdgeBundleError } from '../errors.ts';
import { compareVersions } from './version-order.ts';

/** One version of a profile, as Palette lists it. */
export interface ListedProfile {
  readonly uid: string;
  readonly name: string;
  readonly version: string;
  /** Whose it is: `project`, `tenant` or `system`, with the project's uid. Profiles of one name may be in several. */
  readonly scope: string;
}

const maxNamed = 10;

/** Whether `text` is a uid of Palette: 24 hexadecimal digits. */
export function isUid(text: string): boolean {
  return /^[0-9a-f]{24}$/.test(text);
}

/**
 * The profile that `NAME` (its newest version) or `NAME@VERSION` means.
 *
 * @throws EdgeBundleError PALETTE_ERROR where there is none, or more than one
 */
export function findProfile(wanted: string, profiles: readonly ListedProfile[]): ListedProfile {
  const { name, version } = splitName(wanted, profiles);
  const named = profiles.filter((profile) => profile.name === name);
  if (named.length === 0)
    throw notFound(
      `there is no cluster profile '${name}'`,
      profiles.map((each) => each.name),
    );
  const found = named.filter((profile) => version === undefined || profile.version === version);
  const [newest, ...older] = found.sort((one, other) => compareVersions(other.version, one.version));
  if (newest === undefined) {
    throw notFound(
      `the cluster profile '${name}' has no version '${version ?? ''}'`,
      named.map((each) => each.version),
    );
  }
  const others = older.filter(({ scope, version: each }) => scope !== newest.scope || each === newest.version);
  if (others.length === 0) return newest;
  const list = [newest, ...others].map((each) => `${each.uid} (${each.scope}, ${each.version})`).join(', ');
  throw new EdgeBundleError('PALETTE_ERROR', `the cluster profile '${wanted}' may be one of several: ${list}`, {
    hint: 'Name it by its uid.',
  });
}

/** A name may hold an `@` itself. */
function splitName(wanted: string, profiles: readonly ListedProfile[]): { name: string; version: string | undefined } {
  const at = wanted.lastIndexOf('@');
  if (at < 1 || profiles.some(({ name }) => name === wanted)) return { name: wanted, version: undefined };
  return { name: wanted.slice(0, at), version: wanted.slice(at + 1) };
}

function notFound(message: string, known: readonly string[]): EdgeBundleError {
  const names = [...new Set(known)].sort();
  const more = names.length > maxNamed ? `, and ${names.length - maxNamed} more` : '';
  const hint =
    names.length === 0
      ? 'This API key sees none in this project.'
      : `There is: ${names.slice(0, maxNamed).join(', ')}${more}.`;
  return new EdgeBundleError('PALETTE_ERROR', message, { hint: `${hint} Check --palette-project too.` });
}
