import { EdgeBundleError } from '../errors.ts';
import { type Artifact, makeArtifact } from './artifact.ts';
import { type ChartMetadata, readChartMetadata } from './chart-metadata.ts';
import { goJson, sortMembers } from './go-json.ts';

/** A chart's archive, and the files in it. */
export interface ChartArchive {
  /** By their path in the chart's folder: `Chart.yaml`. */
  readonly files: ReadonlyMap<string, Buffer>;
  /** The `.tgz`. */
  readonly archive: Buffer;
}

const configType = 'application/vnd.cncf.helm.config.v1+json';
const layerType = 'application/vnd.cncf.helm.chart.content.v1.tar+gzip';

/**
 * The artifact that `helm push` (Helm 4.1) makes of a chart, but without the time of its creation: `helm pull oci://…` gives the
 * same archive back. A provenance file is not part of it.
 *
 * @param where names the chart in errors
 * @throws EdgeBundleError CHART_INVALID where Helm could not read `Chart.yaml` either
 */
export async function chartArtifact({ files, archive }: ChartArchive, where: string): Promise<Artifact> {
  const chartYaml = files.get('Chart.yaml');
  if (chartYaml === undefined) throw new EdgeBundleError('CHART_INVALID', `${where}: the chart has no Chart.yaml`);
  const metadata = readChartMetadata(chartYaml, files.get('requirements.yaml'), where);
  const { name, version } = metadata;
  return makeArtifact(
    { kind: 'chart', name, version },
    { bytes: goJson(metadata), mediaType: configType },
    { bytes: archive, mediaType: layerType },
    (config, layer) => ({
      schemaVersion: 2,
      config,
      layers: [layer],
      annotations: sortMembers(annotationsOf(metadata)),
    }),
  );
}

/** What Helm says of a chart in its manifest (Helm 4.1, pkg/registry, `generateOCIAnnotations`). */
function annotationsOf(metadata: ChartMetadata): Record<string, string> {
  const { name, version, description, home, sources, maintainers, annotations } = metadata;
  const authors = (maintainers ?? [])
    .map(({ name: author = '', email }) => (email === undefined ? author : `${author} (${email})`))
    .join(', ');
  const own = {
    'org.opencontainers.image.description': description,
    'org.opencontainers.image.url': home,
    'org.opencontainers.image.source': sources?.[0],
    'org.opencontainers.image.authors': authors,
  };
  const named = Object.entries(own).filter((entry): entry is [string, string] => (entry[1] ?? '').trim() !== '');
  return {
    ...Object.fromEntries(named),
    ...annotations,
    'org.opencontainers.image.title': name,
    'org.opencontainers.image.version': version,
  };
}
