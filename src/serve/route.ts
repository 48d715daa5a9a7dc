import { type Digest, isDigest } from '../content/digest.ts';
import { isRepositoryName } from '../oci-client/reference.ts';
import { ProtocolError } from './protocol-error.ts';

/** What a path asks for: OCI distribution-spec v1.1, "Endpoints"; `catalog` is that of the CNCF Distribution registry. */
export type Route =
  | { readonly kind: 'base' }
  | { readonly kind: 'catalog' }
  | { readonly kind: 'tags'; readonly name: string }
  | { readonly kind: 'manifest'; readonly name: string; readonly reference: string }
  | { readonly kind: 'blob'; readonly name: string; readonly digest: Digest }
  | { readonly kind: 'referrers'; readonly name: string; readonly digest: Digest }
  | { readonly kind: 'uploads'; readonly name: string }
  | { readonly kind: 'upload'; readonly name: string; readonly session: string };

/**
 * Reads a request's path. Names and digests that come out match their grammar; a session and a manifest's reference may
 * be anything, and are only ever compared.
 *
 * @throws ProtocolError 404, or 400 NAME_INVALID or DIGEST_INVALID
 */
export function parseRoute(path: string): Route {
  const [empty, version, ...rest] = path.split('/').map(decode);
  if (empty !== '' || version !== 'v2') throw noSuchPath();
  if (rest.length === 0 || (rest.length === 1 && rest[0] === '')) return { kind: 'base' };
  if (rest.length === 1 && rest[0] === '_catalog') return { kind: 'catalog' };
  const last = rest.at(-1) ?? '';
  const before = rest.at(-2);
  if (rest.at(-3) === 'blobs' && before === 'uploads') {
    const name = repositoryName(rest.slice(0, -3));
    return last === '' ? { kind: 'uploads', name } : { kind: 'upload', name, session: last };
  }
  const name = (): string => repositoryName(rest.slice(0, -2));
  if (before === 'blobs' && last === 'uploads') return { kind: 'uploads', name: name() };
  if (before === 'tags' && last === 'list') return { kind: 'tags', name: name() };
  if (before === 'manifests') return { kind: 'manifest', name: name(), reference: last };
  if (before === 'blobs') return { kind: 'blob', name: name(), digest: digest(last) };
  if (before === 'referrers') return { kind: 'referrers', name: name(), digest: digest(last) };
  throw noSuchPath();
}

/** A slash that is encoded stays inside its component, where no grammar allows it. */
function decode(component: string): string {
  try {
    return decodeURIComponent(component);
  } catch {
    throw noSuchPath();
  }
}

function repositoryName(components: readonly string[]): string {
  const name = components.join('/');
  const isName = isRepositoryName(name) && components.every((component) => !component.includes('/'));
  if (isName) return name;
  throw new ProtocolError(400, 'NAME_INVALID', `not the name of a repository: ${quote(name)}`);
}

function digest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new ProtocolError(400, 'DIGEST_INVALID', `not a digest: ${quote(text)}`);
}

function noSuchPath(): ProtocolError {
  return new ProtocolError(404, 'UNSUPPORTED', 'the registry has no such path');
}

function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
