import type { OutgoingHttpHeaders } from 'node:http';

import type { Descriptor } from '../content/descriptor.ts';
import { type Digest, isDigest } from '../content/digest.ts';
import { mediaTypes } from '../content/media-types.ts';
import { readContent } from '../content/verify.ts';
import { isEdgeBundleError } from '../errors.ts';
import { parseRegistry } from '../oci-client/reference.ts';
import { parseRange, type ResolvedRange } from './byte-range.ts';
import type { Exchange } from './exchange.ts';
import { registryComponent } from './names.ts';
import { linkToNext, page } from './paging.ts';
import { ProtocolError } from './protocol-error.ts';
import type { RegistryContent, RepositoryContent } from './registry-content.ts';

/** Pulling and content discovery: OCI distribution-spec v1.1, "Pull" and "Content Discovery". */
export interface PullOptions {
  readonly exchange: Exchange;
  readonly content: RegistryContent;
}

export async function pullManifest(name: string, reference: string, options: PullOptions): Promise<void> {
  const { exchange, content } = options;
  const repository = await findRepository(name, options);
  const target = isDigest(reference) ? await repository?.findManifest(reference) : repository?.resolve(reference);
  const unknown = (): ProtocolError =>
    new ProtocolError(404, 'MANIFEST_UNKNOWN', `${name} has no manifest ${JSON.stringify(reference.slice(0, 200))}`);
  if (target === undefined) throw unknown();
  const headers = contentHeaders(target, target.mediaType);
  if (await sendWithoutBody(target, headers, unknown, options)) return;
  const bytes = await readContent(content.store, target, { signal: exchange.signal }).catch(orUnknown(unknown));
  exchange.sendBytes(200, headers, bytes);
}

export async function pullBlob(name: string, digest: Digest, options: PullOptions): Promise<void> {
  const { exchange, content } = options;
  const target = await (await findRepository(name, options))?.findBlob(digest);
  const unknown = (): ProtocolError => new ProtocolError(404, 'BLOB_UNKNOWN', `${name} has no blob ${digest}`);
  if (target === undefined) throw unknown();
  const headers = { ...contentHeaders(target, mediaTypes.octetStream), 'accept-ranges': 'bytes' };
  if (await sendWithoutBody(target, headers, unknown, options)) return;
  const range = requestedRange(target, exchange);
  const { signal } = exchange;
  const bytes = await content.store.fetch(target, { signal, range }).catch(orUnknown(unknown));
  if (range === undefined) {
    await exchange.sendContent(200, headers, bytes, target.size);
    return;
  }
  const { start, end } = range;
  const partHeaders = { ...headers, 'content-range': `bytes ${start}-${end - 1}/${target.size}` };
  await exchange.sendContent(206, partHeaders, bytes, end - start);
}

export async function listTags(name: string, options: PullOptions): Promise<void> {
  const { exchange } = options;
  const repository = await findRepository(name, options);
  if (repository === undefined) throw new ProtocolError(404, 'NAME_UNKNOWN', `there is no repository ${name}`);
  const { items, next } = page(repository.tags, exchange.query);
  exchange.sendJson(200, linkHeaders(exchange, next), { name, tags: items });
}

export async function listRepositories(options: PullOptions): Promise<void> {
  const { exchange, content } = options;
  const { items, next } = page(await content.repositories(), exchange.query);
  exchange.sendJson(200, linkHeaders(exchange, next), { repositories: items });
}

/** Never 404: a client would take that for a registry without this end point. */
export async function listReferrers(name: string, digest: Digest, options: PullOptions): Promise<void> {
  const { exchange } = options;
  const repository = await findRepository(name, options);
  const all = (await repository?.referrers(digest)) ?? [];
  const artifactType = exchange.query.get('artifactType');
  const manifests = artifactType === null ? all : all.filter((referrer) => referrer.artifactType === artifactType);
  const filtered = artifactType === null ? {} : { 'oci-filters-applied': 'artifactType' };
  exchange.sendJson(
    200,
    { ...filtered, 'content-type': mediaTypes.ociIndex },
    { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests },
  );
}

/**
 * The repository that a client means. containerd tells a mirror with `ns` which registry it stands in for; the path
 * then names the repository there, or, where hosts.toml has a path of its own, the repository here.
 */
async function findRepository(name: string, options: PullOptions): Promise<RepositoryContent | undefined> {
  const { exchange, content } = options;
  const namespace = exchange.query.get('ns');
  const mirrored = namespace === null ? undefined : await content.repository(`${mirroredRegistry(namespace)}/${name}`);
  return mirrored ?? content.repository(name);
}

function mirroredRegistry(namespace: string): string {
  try {
    return registryComponent(parseRegistry(namespace));
  } catch (cause) {
    if (!isEdgeBundleError(cause, 'REFERENCE_INVALID')) throw cause;
    throw new ProtocolError(400, 'NAME_INVALID', "'ns' is not a registry: expected HOST or HOST:PORT", { cause });
  }
}

function contentHeaders(target: Descriptor, mediaType: string): OutgoingHttpHeaders {
  return { 'content-type': mediaType, 'docker-content-digest': target.digest, etag: entityTag(target) };
}

function entityTag(target: Descriptor): string {
  return `"${target.digest}"`;
}

/** Answers `HEAD`, and a client that has the content already; false where the content itself is wanted. */
async function sendWithoutBody(
  target: Descriptor,
  headers: OutgoingHttpHeaders,
  unknown: () => ProtocolError,
  { exchange, content }: PullOptions,
): Promise<boolean> {
  const isUnchanged = matches(exchange.header('if-none-match'), target);
  if (!isUnchanged && exchange.method !== 'HEAD') return false;
  if (!(await content.store.exists(target, { signal: exchange.signal }))) throw unknown();
  if (isUnchanged) exchange.sendEmpty(304, headers);
  else exchange.sendHead(200, headers, target.size);
  return true;
}

/** Undefined where the whole content is wanted. @throws ProtocolError 416 */
function requestedRange(target: Descriptor, exchange: Exchange): ResolvedRange | undefined {
  const condition = exchange.header('if-range');
  const isSame = condition === undefined || condition === entityTag(target);
  const range = parseRange(isSame ? exchange.header('range') : undefined, target.size);
  if (range === 'whole') return undefined;
  if (range !== 'unsatisfiable') return range;
  throw new ProtocolError(416, 'SIZE_INVALID', `${target.digest} has ${target.size} bytes; others were asked for`, {
    headers: { 'content-range': `bytes */${target.size}` },
  });
}

/** RFC 9110, section 13.1.2. */
function matches(condition: string | undefined, target: Descriptor): boolean {
  return (condition ?? '').split(',').some((tag) => tag.trim().replace(/^W\//, '') === entityTag(target));
}

function orUnknown(unknown: () => ProtocolError): (error: unknown) => never {
  return (error) => {
    throw isEdgeBundleError(error, 'NOT_FOUND') ? unknown() : error;
  };
}

function linkHeaders(exchange: Exchange, next: string | undefined): OutgoingHttpHeaders {
  const { path, query } = exchange;
  return next === undefined ? {} : { link: linkToNext(path, query, next) };
}
