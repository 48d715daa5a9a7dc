import type { Descriptor } from '../content/descriptor.ts';
import { isDigest } from '../content/digest.ts';
import { type ImageManifest, parseManifest } from '../content/manifest.ts';
import { isManifest } from '../content/media-types.ts';
import type { OperationOptions } from '../content/store.ts';
import { readContent } from '../content/verify.ts';
import { EdgeBundleError } from '../errors.ts';
import { formatReference, isRepositoryName, isTag, parseRegistry, type Reference } from '../oci-client/reference.ts';
import type { RegistryClient } from '../oci-client/registry-client.ts';
import { maxArchiveBytes } from './chart-download.ts';
import { chooseVersion } from './chart-version.ts';

export interface FetchedChart {
  /** The chart's `.tgz`. */
  readonly archive: Buffer;
  /** The address that it came from in the end, with its version. */
  readonly origin: string;
  /** What a registry has it as. */
  readonly artifact?: { readonly reference: Reference; readonly manifest: Descriptor } | undefined;
}

/** Helm's OCI artifacts: "Use OCI-based registries", since Helm 3.8. */
export const helmMediaTypes = {
  config: 'application/vnd.cncf.helm.config.v1+json',
  chart: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip',
} as const;

/** What Helm before 3.7 wrote. */
const oldChartLayer = 'application/tar+gzip';

/**
 * Fetches a chart from an OCI registry.
 *
 * @param address `oci://host/path/name:version`, with `@digest`, or without both
 * @throws EdgeBundleError CONFIG_INVALID, CHART_INVALID where something else is there, NOT_FOUND, and those of `Repository`
 */
export async function fetchArtifact(
  address: string,
  client: RegistryClient,
  options: OperationOptions,
): Promise<FetchedChart> {
  const { signal } = options;
  const { registry, repository: path, tag, digest } = parseAddress(address);
  const repository = client.repository(registry, path);
  const label = `${registry}/${path}`;
  const name = digest ?? tag ?? (await latestTag(() => repository.tags({ signal }), label));
  const descriptor = await repository.resolve(name, { signal });
  const reference = { registry, repository: path, tag: digest === undefined ? name : tag, digest: descriptor.digest };
  const where = formatReference(reference);
  if (!isManifest(descriptor.mediaType)) throw notChart(where, descriptor.mediaType);
  const manifest = parseManifest(await readContent(repository, descriptor, { signal }), descriptor);
  if (manifest.kind === 'index') throw notChart(where, descriptor.mediaType);
  const archive = await readContent(repository, chartLayer(manifest, where), { maxBytes: maxArchiveBytes, signal });
  return { archive, origin: `oci://${where}`, artifact: { reference, manifest: descriptor } };
}

function parseAddress(address: string): Reference {
  const {
    host = '',
    path = '',
    version,
    digest,
  } = /^oci:\/\/(?<host>[^/]+)\/(?<path>[^:@]+)(:(?<version>[^@]+))?(@(?<digest>.+))?$/.exec(address)?.groups ?? {};
  // A tag has no '+'; Helm writes '_' for it.
  const tag = version?.replaceAll('+', '_');
  if (!isRepositoryName(path) || (tag !== undefined && !isTag(tag)) || (digest !== undefined && !isDigest(digest))) {
    throw new EdgeBundleError('CONFIG_INVALID', `'${address}' is no address of a chart`, {
      hint: 'Expected oci://HOST/PATH/NAME:VERSION, or @DIGEST instead of the version.',
    });
  }
  return { registry: parseRegistry(host), repository: path, tag, digest };
}

async function latestTag(list: () => Promise<readonly string[]>, label: string): Promise<string> {
  const tags = new Map((await list()).map((tag) => [tag.replaceAll('_', '+'), tag]));
  const version = chooseVersion([...tags.keys()], undefined, `chart ${label}`);
  return tags.get(version) ?? version;
}

function chartLayer(manifest: ImageManifest, where: string): ImageManifest['layers'][number] {
  const types: readonly string[] = [helmMediaTypes.chart, oldChartLayer];
  const layer = manifest.layers.find(({ mediaType }) => types.includes(mediaType));
  if (manifest.config.mediaType === helmMediaTypes.config && layer !== undefined) return layer;
  throw notChart(where, manifest.config.mediaType);
}

function notChart(where: string, found: string): EdgeBundleError {
  return new EdgeBundleError(
    'CHART_INVALID',
    `${where} is no Helm chart: expected an artifact of type ${helmMediaTypes.config}, it is ${found}`,
  );
}
