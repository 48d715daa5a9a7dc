import { trimEnd } from '../content/trim-end.ts';
import { isDigest } from '../content/digest.ts';
import { isImageName, readImageName } from './image-name.ts';
import { imageKey, keyWords } from './key-words.ts';
import type { PlainObject } from './plain-object.ts';

/** What the objects around an image say for all images in them: `{hub, tag, proxy: {image: 'proxyv2'}}`. */
export interface Surroundings {
  readonly registry?: string | undefined;
  readonly tag?: string | undefined;
  readonly version?: string | undefined;
  /** Whether the key of one of them says that there are images in it: `{images: {proxy: …}}`. */
  readonly isOfImages?: boolean | undefined;
  /** A chart's `global.imageRegistry`, which by the custom of charts stands for every registry that the values name. */
  readonly globalRegistry?: string | undefined;
}

export interface ComposedImage {
  readonly image: string;
  /** The keys of the parts, in the object. */
  readonly keys: readonly string[];
  /** Whether it is a guess: its tag is a product's version, or there is none. */
  readonly isGuess: boolean;
  readonly note: string;
}

export interface ComposeOptions {
  /** What the key of the object says: see `imageKey`. */
  readonly key: 'name' | 'mention' | undefined;
  readonly around: Surroundings;
  /** A chart's `appVersion`: the tag by the custom of charts where values leave it empty. */
  readonly appVersion?: string | undefined;
}

type Role = 'registry' | 'repository' | 'image' | 'name' | 'tag' | 'digest' | 'version';

interface Part {
  readonly key: string;
  readonly text: string;
}

type Parts = Partial<Record<Role, Part>>;

const notes = { version: 'the tag is the version', app: "the tag is the chart's appVersion", none: 'no tag is given' };

/**
 * The images that `object` has in parts: `{registry, repository, tag, digest}`, `{repository, image, version}`,
 * `{hub, image, tag}`, and the same with a common prefix, `{proxyImageRepository, proxyImageTag}`, `PROXY_IMAGE_TAG`.
 */
export function composeImages(object: PlainObject, options: ComposeOptions): ComposedImage[] {
  if (options.key === undefined && !tellsOfImages(object)) return [];
  const groups = partsByPrefix(object);
  const found: ComposedImage[] = [];
  for (const [prefix, parts] of groups) {
    if (prefix === 'default') continue;
    const composed = compose(prefix, parts, groups.get('') ?? {}, options);
    if (composed !== undefined) found.push(composed);
  }
  return found;
}

/** `outer` with what `object`, and the key that it stands under, say for all that is in it. */
export function surroundingsOf(key: string, object: PlainObject, outer: Surroundings): Surroundings {
  const around = outer.isOfImages === true || imageKey(key) === undefined ? outer : { ...outer, isOfImages: true };
  if (!tellsOfImages(object)) return around;
  const groups = partsByPrefix(object);
  const { registry, repository, image, tag, version } = groups.get('') ?? {};
  const byDefault = groups.get('default') ?? groups.get('base') ?? {};
  const ownRegistry = registry?.text ?? (image === undefined && tag === undefined ? repository?.text : undefined);
  const base = typeof object.base === 'string' && object.base.includes('/') ? object.base : undefined;
  const prefix = ownRegistry ?? base ?? join(byDefault.registry?.text, byDefault.repository?.text);
  return {
    ...around,
    registry: prefix === undefined || !isHostOrPath(prefix) ? around.registry : prefix,
    tag: tag?.text ?? byDefault.tag?.text ?? around.tag,
    version: version?.text ?? around.version,
  };
}

function compose(prefix: string, parts: Parts, common: Parts, options: ComposeOptions): ComposedImage | undefined {
  const { around, key, appVersion } = options;
  const named = nameOf(parts, key);
  if (named === undefined) return undefined;
  const written = readImageName(named.text);
  // `app`, or `/team/app`: something stands before it.
  const isBare = (written?.host === undefined && named.text.lastIndexOf('/') <= 0) || named.text.startsWith('/');
  const tagged = written?.tag !== undefined || written?.digest !== undefined;
  const given = parts.registry && (part('global registry', around.globalRegistry) ?? parts.registry);
  const registry = given ?? (tagged || !isBare ? undefined : part('outer registry', around.registry));
  if (tagged && parts.digest === undefined && (registry === undefined || written.host !== undefined)) return undefined;

  const tag =
    parts.tag ??
    (isBare && parts.registry === undefined && registry !== undefined ? part('outer tag', around.tag) : undefined);
  const version =
    tag ?? versionOf(prefix, parts, common, options, registry !== undefined || written?.host !== undefined);
  const digest = digestOf(parts.digest);
  const isSure = parts.repository === undefined ? registry !== undefined : key !== undefined || named.keys.length > 1;
  const guessedTag = isSure && version === undefined && !tagged && digest === undefined ? appVersion : undefined;
  const text = `${join(registry?.text, named.text)}${suffix(tagged ? undefined : (version?.text ?? guessedTag), digest)}`;
  if (!isImageName(text)) return undefined;

  const keys = [...named.keys, registry, tag, version, parts.digest].flatMap((used) =>
    used === undefined ? [] : typeof used === 'string' ? [used] : [used.key],
  );
  const unique = [...new Set(keys)];
  const note = `composed of ${unique.join(', ')}`;
  if (tagged || tag !== undefined || digest !== undefined) return { image: text, keys: unique, isGuess: false, note };
  if (version !== undefined) {
    const isGuess = parts.repository === undefined || named.keys.length < 2;
    return { image: text, keys: unique, isGuess, note: isGuess ? `${note}: ${notes.version}` : note };
  }
  if (guessedTag !== undefined) return { image: text, keys: unique, isGuess: true, note: `${note}: ${notes.app}` };
  // A whole `image` with no tag is read by those who read single strings.
  if (parts.repository === undefined || !isSure) return undefined;
  return { image: text, keys: unique, isGuess: true, note: `${note}: ${notes.none}` };
}

/** The repository, of the parts that name it. */
function nameOf(
  { registry, repository, image, name }: Parts,
  key: ComposeOptions['key'],
): { text: string; keys: string[] } | undefined {
  if (repository !== undefined && image !== undefined) {
    const isWhole = image.text.includes('/') && readImageName(image.text)?.host !== undefined;
    if (isWhole) return { text: image.text, keys: [image.key] };
    return { text: join(repository.text, image.text), keys: [repository.key, image.key] };
  }
  if (repository !== undefined) {
    // `image: {repository: quay.io/org, name: app}`, but not `images: [{name: my-proxy, repository: envoyproxy/envoy}]`.
    const isPrefix = key === 'name' || repository.key === 'repo' || /^[^/]*[.:][^/]*(\/[^/]+)?$/.test(repository.text);
    if (name !== undefined && isPrefix && !repository.text.endsWith(`/${name.text}`)) {
      return { text: join(repository.text, name.text), keys: [repository.key, name.key] };
    }
    return { text: repository.text, keys: [repository.key] };
  }
  if (image !== undefined) return { text: image.text, keys: [image.key] };
  if (name !== undefined && (registry !== undefined || key !== undefined)) return { text: name.text, keys: [name.key] };
  return undefined;
}

/** A version is a tag only beside something that is an image for sure. */
function versionOf(
  prefix: string,
  parts: Parts,
  common: Parts,
  { key, around }: ComposeOptions,
  hasHost: boolean,
): Part | undefined {
  if (parts.version !== undefined && (parts.image !== undefined || key !== undefined || hasHost)) return parts.version;
  if (prefix === 'base' && parts.image !== undefined) return common.version ?? part('outer version', around.version);
  return undefined;
}

function partsByPrefix(object: PlainObject): Map<string, Parts> {
  const groups = new Map<string, Parts>();
  for (const [key, value] of Object.entries(object)) {
    if (!isPart(key)) continue;
    const text = typeof value === 'number' ? String(value) : typeof value === 'string' ? value.trim() : '';
    if (text === '' || text.length > 400 || /[\s{}$%*<>()]|:\/\//.test(text)) continue;
    const { role, prefix } = roleOf(key);
    const group = groups.get(prefix) ?? {};
    groups.set(prefix, group);
    // Kustomize: `{name: nginx, newName: quay.io/org/nginx, newTag: '1.27'}`.
    if (role === 'name' && /^new_?name$/i.test(key)) group.name = { key, text };
    else group[role] ??= { key, text };
  }
  return groups;
}

/** Whether it is worth looking closer: most objects have but a name. */
function tellsOfImages(object: PlainObject): boolean {
  for (const key in object) {
    if (/(?:registry|hub|repository|repo|image|image[-_]?name|tag|digest|sha|sha256|^version|^base)$/i.test(key))
      return true;
  }
  return false;
}

function isPart(key: string): boolean {
  return /(registry|hub|repository|repo|image|name|tag|version|digest|sha|sha256)$/i.test(key);
}

/** `proxyImageTag` is the tag of `proxy`; `imageTag` and `versionTag` are tags. */
function roleOf(key: string): { role: Role; prefix: string } {
  const words = keyWords(key);
  let last = words.pop() ?? '';
  if (last === 'name' && words.at(-1) === 'image') last = words.pop() ?? '';
  const role = roles.get(last) ?? 'name';
  if (role !== 'image') while (words.length > 0 && fillers.has(words.at(-1) ?? '')) words.pop();
  if (role === 'name' && words.length > 0) return { role, prefix: `name ${words.join(' ')}` };
  return { role, prefix: words.join(' ') };
}

const fillers: ReadonlySet<string> = new Set(['image', 'container', 'docker', 'version', 'new']);

const roles: ReadonlyMap<string, Role> = new Map([
  ['registry', 'registry'],
  ['hub', 'registry'],
  ['repository', 'repository'],
  ['repo', 'repository'],
  ['image', 'image'],
  ['name', 'name'],
  ['tag', 'tag'],
  ['version', 'version'],
  ['digest', 'digest'],
  ['sha', 'digest'],
  ['sha256', 'digest'],
]);

function digestOf(digest: Part | undefined): string | undefined {
  if (digest === undefined) return undefined;
  const text = digest.text.replace(/^@/, '');
  return [text, `sha256:${text}`].find(isDigest);
}

function suffix(tag: string | undefined, digest: string | undefined): string {
  const withTag =
    tag === undefined ? '' : /^@?sha\d+:/.test(tag) ? `@${tag.replace(/^@/, '')}` : `:${tag.replace(/^:/, '')}`;
  return digest === undefined || withTag.includes('@') ? withTag : `${withTag}@${digest}`;
}

function join(before: string | undefined, after: string): string;
function join(before: string | undefined, after: string | undefined): string | undefined;
function join(before: string | undefined, after: string | undefined): string | undefined {
  if (after === undefined) return before;
  const prefix = before === undefined ? undefined : trimEnd(before, '/');
  return prefix === undefined || after.startsWith(`${prefix}/`) ? after : `${prefix}/${after.replace(/^\/+/, '')}`;
}

function isHostOrPath(text: string): boolean {
  return /^[\w.-]+(:\d+)?(\/[\w.-]+)*\/?$/.test(text);
}

function part(key: string, text: string | undefined): Part | undefined {
  return text === undefined ? undefined : { key, text };
}
