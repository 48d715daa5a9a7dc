import { trimEnd } from '../../content/trim-end.ts';
import type { Descriptor } from '../../content/descriptor.ts';
import { type ImageManifest, parseManifest } from '../../content/manifest.ts';
import type { Fetcher, OperationOptions, Resolver } from '../../content/store.ts';
import { readContent } from '../../content/verify.ts';
import { isEdgeBundleError } from '../../errors.ts';
import { formatReference, parseReference } from '../../oci-client/reference.ts';
import { otherVersionsOnly, type PackDefinition, type PackQuery, type PackSource } from './pack-definition.ts';
import { problem } from '../problems.ts';
import { maxPackBytes, readPackArchive } from './read-pack.ts';

/** Where packs are fetched from; a RegistryClient is one. */
export interface PackRegistries {
  repository(registry: string, repository: string): PackRepository;
}

interface PackRepository extends Fetcher, Resolver {
  tags(options?: OperationOptions): Promise<readonly string[]>;
}

/** An OCI registry with packs at `<base>/spectro-packs/archive/<name>:<version>`. */
export class PackRegistry implements PackSource {
  readonly #base: string;
  readonly #client: PackRegistries;

  /** @param base the registry, and the path in it where it has one: `harbor.example/packs` */
  constructor(base: string, client: PackRegistries) {
    this.#base = trimEnd(base.replace(/^oci:\/\//, ''), '/');
    this.#client = client;
  }

  /**
   * @throws EdgeBundleError PACK_NOT_FOUND, PROFILE_INVALID, ARCHIVE_INVALID, REFERENCE_INVALID, and those of a `Repository`
   *   but for NOT_FOUND
   */
  async find(query: PackQuery, options: OperationOptions = {}): Promise<PackDefinition | undefined> {
    const name = `${this.#base}/spectro-packs/archive/${query.name}`;
    const wanted = [query.version, query.tag].flatMap((each) => (each === undefined ? [] : [tagOf(each)]));
    for (const tag of new Set(wanted)) {
      const pack = await orNotFound(fetchPack(`${name}:${tag}`, this.#client, options));
      if (pack !== undefined) return pack;
    }
    const { registry, repository } = parseReference(name);
    const tags = await orNotFound(this.#client.repository(registry, repository).tags(options));
    if (tags === undefined || tags.length === 0) return undefined;
    throw otherVersionsOnly(query, `'${this.#base}'`, tags);
  }
}

/**
 * Fetches a pack by its whole reference.
 *
 * @throws EdgeBundleError NOT_FOUND, PROFILE_INVALID, ARCHIVE_INVALID, REFERENCE_INVALID, SIZE_MISMATCH, DIGEST_MISMATCH, and
 *   those of a `Repository`
 */
export async function fetchPack(
  reference: string,
  client: PackRegistries,
  options: OperationOptions = {},
): Promise<PackDefinition> {
  const parsed = parseReference(reference.replace(/^oci:\/\//, ''));
  const normal = formatReference(parsed);
  const repository = client.repository(parsed.registry, parsed.repository);
  const manifest = await repository.resolve(parsed.digest ?? parsed.tag ?? 'latest', options);
  const content = parseManifest(await readContent(repository, manifest, options), manifest);
  if (content.kind === 'index') throw problem(`pack '${normal}'`, 'is an index of manifests, not a pack');
  const archive = await readArchiveLayer(repository, content, normal, options);
  return readPackArchive(archive, normal, { reference: normal, manifest });
}

async function readArchiveLayer(
  repository: PackRepository,
  { layers }: ImageManifest,
  reference: string,
  options: OperationOptions,
): Promise<Buffer> {
  const [layer, ...others] = layers.length === 1 ? layers : layers.filter(isArchive);
  if (layer === undefined || others.length > 0) {
    const types = layers.map(({ mediaType }) => mediaType).join(', ');
    throw problem(`pack '${reference}'`, `expected one layer, a .tar.gz; it has ${layers.length} (${types})`);
  }
  return readContent(repository, layer, { ...options, maxBytes: maxPackBytes });
}

const titleKey = 'org.opencontainers.image.title';

/** ORAS gives every file the media type of a plain tar, unless it is told another; its name says what it is. */
function isArchive({ mediaType, annotations }: Descriptor): boolean {
  const title = annotations?.[titleKey];
  return title === undefined ? /(\+|\.|\/|-)(gzip|tgz)$/.test(mediaType) : /\.(tar\.gz|tgz)$/.test(title);
}

/** A `+`, which a version may have and a tag may not, is written as Helm does. */
function tagOf(version: string): string {
  return version.replaceAll('+', '_');
}

async function orNotFound<T>(result: Promise<T>): Promise<T | undefined> {
  try {
    return await result;
  } catch (error) {
    if (isEdgeBundleError(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
}
