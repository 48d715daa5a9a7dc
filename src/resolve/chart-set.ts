import { trimEnd } from '../content/trim-end.ts';
import { localReference } from '../artifact/artifact.ts';
import { chartArtifact } from '../artifact/chart-artifact.ts';
import { packArtifact } from '../artifact/pack-artifact.ts';
import { versionTag } from '../artifact/version-tag.ts';
import type { Digest } from '../content/digest.ts';
import { isEdgeBundleError } from '../errors.ts';
import { readChart } from '../helm/read-chart.ts';
import { formatReference, parseReference } from '../oci-client/reference.ts';
import type { AnalysedChart, ContentChart, LayerAnalysis } from './layer-analysis.ts';
import { describeLayer, type Layer } from './layers.ts';
import type { ImageSource } from './mention.ts';
import type { Packages } from './packages.ts';
import type { ResolvedChart } from './resolved-profiles.ts';

interface FoundChart extends Omit<ResolvedChart, 'sources'> {
  /** Undefined where it was not fetched. */
  readonly digest: Digest | undefined;
}

/** The charts and packs that layers bring, each once. */
export class ChartSet {
  readonly #packages: Packages;
  readonly #charts = new Map<string, { readonly chart: FoundChart; readonly sources: ImageSource[] }>();
  readonly #warnings = new Set<string>();

  constructor(packages: Packages) {
    this.#packages = packages;
  }

  get charts(): readonly ResolvedChart[] {
    return [...this.#charts.values()].map(({ chart, sources }) => {
      const { kind, name, version, reference, open } = chart;
      return { kind, name, version, reference, sources, open };
    });
  }

  get warnings(): readonly string[] {
    return [...this.#warnings];
  }

  add(layer: Layer, { charts, contentCharts }: LayerAnalysis): void {
    const { pack, input, packDefinition } = layer;
    const from = (path: string): ImageSource => ({
      profile: input.name,
      ...(pack === undefined ? {} : { pack }),
      path,
      class: 'declared',
    });
    if (packDefinition !== undefined)
      this.#add(packOf(packDefinition), from(layer.path === '' ? 'pack.json' : layer.path));
    for (const chart of charts) this.#add(chartOf(chart, layer), from(chart.path));
    for (const chart of contentCharts) {
      try {
        this.#add(this.#contentChart(chart), from(`values#${chart.path}`));
      } catch (error) {
        throw isEdgeBundleError(error) ? error.about(`${describeLayer(layer)}, values#${chart.path}`) : error;
      }
    }
  }

  #add(chart: FoundChart, source: ImageSource): void {
    const known = this.#charts.get(chart.reference);
    if (known === undefined) {
      this.#charts.set(chart.reference, { chart, sources: [source] });
      return;
    }
    known.sources.push(source);
    if (known.chart.digest === undefined || chart.digest === undefined || known.chart.digest === chart.digest) return;
    const { kind, name, version } = chart;
    this.#warnings.add(`two different ${kind}s are ${name} ${version}: the one that comes first is carried`);
  }

  #contentChart({ repo, name, version }: ContentChart): FoundChart {
    const address = `${trimEnd(repo, '/')}/${name}:${version}`;
    const common = { kind: 'chart', name, version, digest: undefined } as const;
    if (address.startsWith('oci://')) {
      const reference = `${trimEnd(repo.slice('oci://'.length), '/')}/${name}:${versionTag(version)}`;
      return { ...common, reference: formatReference(parseReference(reference)), open: undefined };
    }
    const open = async (): ReturnType<NonNullable<ResolvedChart['open']>> => {
      const { archive } = await this.#packages.fetchChart(address);
      const { files } = await readChart(archive, `'${address}'`);
      return (await chartArtifact({ files, archive }, `'${address}'`)).store;
    };
    return { ...common, reference: localReference(common), open };
  }
}

function packOf({ name, version, digest, archive, reference }: NonNullable<Layer['packDefinition']>): FoundChart {
  const common = { kind: 'pack', name, version, digest } as const;
  if (reference !== undefined) return { ...common, reference, open: undefined };
  const open = async (): ReturnType<NonNullable<ResolvedChart['open']>> =>
    (await packArtifact({ name, version, archive: await archive() })).store;
  return { ...common, reference: localReference(common), open };
}

function chartOf({ name, version, digest, path }: AnalysedChart, { definition, chart }: Layer): FoundChart {
  const common = { kind: 'chart', name, version, digest } as const;
  if (chart?.artifact !== undefined) {
    return { ...common, reference: formatReference(chart.artifact.reference), open: undefined };
  }
  const archive = definition?.charts.find((each) => each.path === path)?.archive;
  const open = async (): ReturnType<NonNullable<ResolvedChart['open']>> => {
    const bytes = archive ?? Buffer.alloc(0);
    const { files } = await readChart(bytes, `'${path}'`);
    return (await chartArtifact({ files, archive: bytes }, `'${path}'`)).store;
  };
  return { ...common, reference: localReference(common), open };
}
