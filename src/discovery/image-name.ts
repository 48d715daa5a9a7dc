import { isDigest } from '../content/digest.ts';
import { isRepositoryName, isTag } from '../oci-client/reference.ts';

/** A text that has the form of a reference; `host` is absent where Docker Hub is meant. */
export interface ImageName {
  readonly host: string | undefined;
  /** The repository, without the host. */
  readonly repository: string;
  readonly tag: string | undefined;
  readonly digest: string | undefined;
}

const maxLength = 800;

/**
 * Reads a reference as `parseReference` does, but says only whether it is one: most of the texts that are asked about
 * are not, and an error for each would cost more than all the rest.
 */
export function readImageName(text: string): ImageName | undefined {
  if (text.length > maxLength || !/^[\w[][\w.[\]:/@-]*$/.test(text)) return undefined;
  const at = text.indexOf('@');
  const digest = at === -1 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !isDigest(digest)) return undefined;
  const named = at === -1 ? text : text.slice(0, at);
  const slash = named.indexOf('/');
  const colon = named.lastIndexOf(':');
  const hasTag = colon > named.lastIndexOf('/');
  const tag = hasTag ? named.slice(colon + 1) : undefined;
  if (tag !== undefined && !isTag(tag)) return undefined;
  const name = hasTag ? named.slice(0, colon) : named;
  const first = slash === -1 ? '' : name.slice(0, slash);
  const host = /[.:]/.test(first) || first === 'localhost' ? first : undefined;
  const repository = host === undefined ? name : name.slice(slash + 1);
  if (!isRepositoryName(repository) || (host !== undefined && !isHost(host))) return undefined;
  return { host, repository, tag, digest };
}

/** Whether `text` can hardly be anything else than an image, wherever it stands: host, repository, and tag or digest. */
export function isFullReference(text: string): boolean {
  if (!text.includes('/')) return false;
  const name = readImageName(text);
  if (name?.host === undefined) return false;
  const { host, repository, tag, digest } = name;
  if (!isRegistryHost(host)) return false;
  if (digest !== undefined) return true;
  return tag !== undefined && looksLikeVersion(tag) && !(/^\d+$/.test(tag) && /\.[a-z]+$/.test(repository));
}

/** Whether `text` is an image where the place says that it is one: Docker Hub's short names too. */
export function isImageName(text: string): boolean {
  const name = readImageName(text);
  if (name === undefined) return false;
  const { host, repository, tag, digest } = name;
  if (host !== undefined) return !isFileName(repository) || tag !== undefined || digest !== undefined;
  const segments = repository.split('/');
  if (segments.length > 2 || !/[a-z]/.test(repository) || repository === 'sha256') return false;
  if (segments.length === 2) return tag !== undefined || digest !== undefined || !isFileName(repository);
  // No official image has a dot in its name: what has one is a host, with a port perhaps, or a file.
  if (repository === 'localhost' || repository.includes('.')) return false;
  if (tag !== undefined || digest !== undefined) return true;
  return !/^v?\d/.test(repository) && !/^ami-[0-9a-f]+$/.test(repository) && !words.has(repository);
}

/** Whether `text` is an image where there are images among other things: it needs a tag, or a digest. */
export function isTaggedImage(text: string): boolean {
  const name = readImageName(text);
  if (name === undefined || !isImageName(text)) return false;
  const { host, repository, tag, digest } = name;
  if (digest !== undefined) return true;
  if (tag === undefined) return false;
  // `db:5432` is a host with a port.
  return host !== undefined || repository.includes('/') || (looksLikeVersion(tag) && !/^\d{2,5}$/.test(tag));
}

/** Whether `text` is a repository, with or without a host, that lacks only its tag. */
export function isBareRepository(text: string): boolean {
  const name = readImageName(text);
  return name !== undefined && name.tag === undefined && name.digest === undefined && /[a-z]/.test(name.repository);
}

function isHost(host: string): boolean {
  return /^([a-zA-Z0-9]([\w-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([\w-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:.]+\])(:\d{1,5})?$/.test(
    host,
  );
}

/** Import paths, label prefixes and file names look like hosts, too. */
function isRegistryHost(host: string): boolean {
  const [name = ''] = host.startsWith('[') ? [host] : host.toLowerCase().split(':');
  if (name === 'localhost' || name.startsWith('[') || /^\d+(\.\d+){3}$/.test(name)) return true;
  if (notRegistries.has(name) || /(^|\.)kubernetes\.io$/.test(name)) return false;
  if (!name.includes('.')) return host.includes(':');
  return /\.[a-z][a-z0-9-]*[a-z0-9]$/.test(name) && !isFileName(name);
}

/** Not `NoSchedule`, `ro`, `get`: what follows a colon elsewhere. */
function looksLikeVersion(tag: string): boolean {
  return (
    /\d/.test(tag) ||
    /^(latest|stable|main|master|edge|nightly|dev|develop|canary|release|current|lts|alpha|beta|debug|nonroot|slim|alpine|signed|unsigned)\b/.test(
      tag,
    )
  );
}

function isFileName(name: string): boolean {
  return /\.(png|svg|jpe?g|gif|ico|webp|iso|img|qcow2|raw|vmdk|ova|tar|t?gz|xz|zst|bz2|zip|ya?ml|json|toml|ini|conf|cfg|sh|py|go|rs|ts|txt|md|html?|js|css|exe|bin|deb|rpm|pem|crt|key|sock|log|lua|tpl)$/.test(
    name,
  );
}

const notRegistries: ReadonlySet<string> = new Set(
  'github.com www.github.com raw.githubusercontent.com gitlab.com bitbucket.org golang.org google.golang.org gopkg.in k8s.io sigs.k8s.io'.split(
    ' ',
  ),
);

/** What stands in an image's place when there is none. */
const words: ReadonlySet<string> = new Set(
  'true false yes no on off none null nil default auto always never missing enabled disabled image name latest custom'.split(
    ' ',
  ),
);
