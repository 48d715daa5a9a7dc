import { CORE_SCHEMA, load } from 'js-yaml';
import * as z from 'zod';

import { listOf } from '../content/list-schema.ts';
import { EdgeBundleError, errorMessage } from '../errors.ts';
import type { ChartDownload } from './chart-download.ts';
import { chooseVersion } from './chart-version.ts';

export interface RepositoryChart {
  /** Of the chart's archive; or `oci:`. */
  readonly url: URL;
  /** Of the archive, in hex, where the index tells it. */
  readonly sha256: string | undefined;
}

const indexSchema = z.object({ entries: z.record(z.string(), z.unknown()) });
const versionsSchema = z.array(z.unknown());
const versionSchema = z.object({
  version: z.union([z.string(), z.number()]).transform(String),
  urls: listOf(z.string()).refine((urls) => urls.length > 0),
  digest: z.string().nullish(),
});

/**
 * Looks a chart up in the `index.yaml` of a Helm chart repository.
 *
 * @param address `https://host/path/name:version`, or without the version
 * @throws EdgeBundleError NOT_FOUND, CHART_INVALID where the index cannot be read
 */
export async function findInRepository(address: URL, download: Pick<ChartDownload, 'index'>): Promise<RepositoryChart> {
  const { name = '', version } = /\/(?<name>[^/:]+)(:(?<version>[^/:]+))?$/.exec(address.pathname)?.groups ?? {};
  if (name === '') {
    throw new EdgeBundleError(
      'CONFIG_INVALID',
      `'${address.href}' names no chart: expected https://HOST/PATH/NAME:VERSION`,
    );
  }
  const index = new URL('./index.yaml', address);
  const published = readVersions(await download.index(index), decodeURIComponent(name), index);
  const wanted = version === undefined ? undefined : decodeURIComponent(version);
  const chosen = chooseVersion([...published.keys()], wanted, `chart ${name} of ${index.href}`);
  const entry = published.get(chosen);
  const url = entry?.urls[0] ?? '';
  if (!URL.canParse(url, index.href)) throw invalid(index, `the address of ${name} ${chosen} is none`);
  const { hex } = /^(sha256:)?(?<hex>[0-9a-f]{64})$/.exec(entry?.digest?.toLowerCase() ?? '')?.groups ?? {};
  return { url: new URL(url, index), sha256: hex };
}

/** Like Helm, what is no version of a chart is passed over; of a version that is there twice, the first counts. */
function readVersions(text: string, name: string, index: URL): Map<string, z.infer<typeof versionSchema>> {
  const entries = indexSchema.safeParse(loadIndex(text, index)).data?.entries;
  if (entries === undefined) throw invalid(index, "it has no 'entries'");
  const list = versionsSchema.safeParse(Object.hasOwn(entries, name) ? entries[name] : []).data ?? [];
  const versions = list.flatMap((entry) => versionSchema.safeParse(entry).data ?? []);
  return new Map(versions.reverse().map((entry) => [entry.version, entry]));
}

/** YAML, or JSON, which is quicker to read. */
function loadIndex(text: string, index: URL): unknown {
  try {
    return text.startsWith('{') ? JSON.parse(text) : load(text, { schema: CORE_SCHEMA, json: true });
  } catch (cause) {
    throw invalid(index, `it is not YAML: ${errorMessage(cause).split('\n', 1)[0] ?? ''}`, cause);
  }
}

function invalid(index: URL, reason: string, cause?: unknown): EdgeBundleError {
  return new EdgeBundleError('CHART_INVALID', `the index ${index.href} cannot be used: ${reason}`, {
    hint: 'A chart repository has its index.yaml in the folder above the name of the chart.',
    cause,
  });
}
