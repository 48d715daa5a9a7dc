import { problem } from '../problems.ts';
import type { PackageInput } from '../profile-kinds.ts';

/** Where packs stand in a registry: `<host>/<base>/spectro-packs/archive/<name>:<version>`. */
const packPath = /(^|\/)spectro-packs\/archive\/[^/]+$/;

/**
 * The chart or pack that an address stands for: `oci://HOST/PATH:VERSION`, `https://HOST/PATH/NAME:VERSION` (a chart of
 * the repository at HOST/PATH), or `https://….tgz`. Undefined where `text` is no address, but a path. Nothing is fetched.
 *
 * @throws EdgeBundleError PROFILE_INVALID
 */
export function readPackageAddress(text: string): PackageInput | undefined {
  const [, scheme] = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text) ?? [];
  if (scheme === undefined) return undefined;
  if (/^[^/]*:\/\/[^/]*@/.test(text)) {
    throw problem('the address of a chart', 'it holds a login, which would be shown to everyone on this machine', {
      hint: 'Leave it out, and give it with --cred-file or docker login.',
    });
  }
  const parsed = parseAddress(scheme.toLowerCase(), text);
  return { ...parsed, file: text, source: 'remote', digest: undefined };
}

function parseAddress(scheme: string, text: string): Pick<PackageInput, 'kind' | 'name' | 'version'> {
  const rest = text.slice(text.indexOf('://') + 3);
  if (scheme === 'oci') {
    const [, path, name, tag, digest] = /^[^/]+\/((?:.+\/)?([^/:@]+))(?::([^/:@]+))?(@[^/@]+)?$/.exec(rest) ?? [];
    if (path !== undefined && name !== undefined && (tag !== undefined || digest !== undefined)) {
      return { kind: packPath.test(path) ? 'pack' : 'chart', name, version: tag };
    }
    throw problem(`'${text}'`, 'an address in a registry is oci://HOST/PATH:VERSION');
  }
  if (scheme === 'https' || scheme === 'http') {
    const file = /\/([^/?#]+)\.tgz(\?[^#]*)?$/.exec(rest)?.[1];
    if (file !== undefined) return { kind: 'chart', ...splitFileName(file) };
    const [, name, version] = /^[^/]+\/(?:.+\/)?([^/:?#]+):([^/:?#]+)$/.exec(rest) ?? [];
    if (name !== undefined) return { kind: 'chart', name, version };
    throw problem(`'${text}'`, 'the address of a chart is https://HOST/PATH/NAME:VERSION or https://….tgz', {
      hint: 'A profile is given as a file, or fetched from Palette with --palette-endpoint.',
    });
  }
  throw problem(`'${text}'`, `'${scheme}' is not understood: an address begins with oci:// or https://`);
}

/** Helm names a chart's file `web-app-1.2.0`: the version begins with the first part that is a number and a dot. */
function splitFileName(file: string): { name: string; version: string | undefined } {
  const [, name, version] = /^(.+?)-v?(\d+\..+)$/.exec(file) ?? [];
  return { name: name ?? file, version };
}
