import { EdgeBundleError } from '../errors.ts';
import type { RegistryClient } from '../oci-client/registry-client.ts';
import { type FetchedChart, fetchArtifact } from './fetch-artifact.ts';
import { ChartDownload, type ChartDownloadOptions } from './chart-download.ts';
import { findInRepository } from './chart-repository.ts';

/**
 * Fetches a chart: `oci://host/path/name:version` (or `@digest`), `https://host/path/name:version` from the repository
 * whose `index.yaml` is at `https://host/path/`, or `https://host/path/name-version.tgz`. Without a version the highest one
 * that is no pre-release.
 *
 * @throws EdgeBundleError CONFIG_INVALID where `address` is none of these, CHART_INVALID, NOT_FOUND, DIGEST_MISMATCH,
 *   CONTENT_TOO_LARGE, and those of `Repository` and `Transport`
 */
export async function fetchChart(
  address: string,
  client: RegistryClient,
  options: ChartDownloadOptions,
): Promise<FetchedChart> {
  if (address.startsWith('oci://')) return fetchArtifact(address, client, options);
  const url = httpUrl(address);
  const download = new ChartDownload(options);
  if (isArchive(url)) return { archive: await download.archive(url), origin: withoutQuery(url) };
  const found = await findInRepository(url, download);
  if (found.url.protocol === 'oci:') return fetchArtifact(found.url.href, client, options);
  return { archive: await download.archive(found.url, found.sha256), origin: withoutQuery(found.url) };
}

function httpUrl(address: string): URL {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    throw new EdgeBundleError('CONFIG_INVALID', `'${address}' is no address of a chart`, {
      hint: 'Expected oci://HOST/PATH/NAME:VERSION, https://HOST/PATH/NAME:VERSION or https://HOST/PATH/FILE.tgz.',
    });
  }
  if (url.username !== '' || url.password !== '') {
    throw new EdgeBundleError('CONFIG_INVALID', `the address of a chart at ${url.host} has a login in it`, {
      hint: 'Put the login into the credentials file.',
    });
  }
  return url;
}

function isArchive(url: URL): boolean {
  return /\.(tgz|tar\.gz)$/.test(url.pathname);
}

/** A query may be a signature. */
function withoutQuery(url: URL): string {
  return `${url.origin}${url.pathname}`;
}
