import { readFile, stat } from 'node:fs/promises';

import { digestOf } from '../../content/digest.ts';
import { fileError } from '../../files/file-error.ts';
import { packChart } from '../../helm/pack-chart.ts';
import type { PackDefinition } from './pack-definition.ts';

/** A chart's folder or archive, with what its Chart.yaml says. */
export interface FoundChart {
  readonly name: string;
  readonly version: string;
  readonly path: string;
}

/**
 * A chart as a pack that has nothing else in it: what Palette makes of a chart of a Helm repository.
 *
 * @throws EdgeBundleError CHART_INVALID, FILE_FAILED
 */
export async function readChartPack({ name, version, path }: FoundChart): Promise<PackDefinition> {
  const archive = await readArchive(path);
  return {
    ...{ name, version, layer: 'addon', isChart: true, displayName: undefined, values: '', presets: undefined },
    charts: [{ path: `${name}-${version}.tgz`, archive }],
    manifests: [],
    digest: digestOf(archive),
    origin: path,
    archive: () => Promise.resolve(archive),
    ...{ reference: undefined, manifest: undefined },
  };
}

async function readArchive(path: string): Promise<Buffer> {
  try {
    return (await stat(path)).isDirectory() ? await packChart(path) : await readFile(path);
  } catch (error) {
    throw fileError(error, `cannot read the chart '${path}'`);
  }
}
