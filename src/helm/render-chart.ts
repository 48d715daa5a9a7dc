import { crdPaths, printCrds, readsFiles } from './chart-crds.ts';
import type { ChartContent } from './chart.ts';
import { helmArchive } from './helm-archive.ts';
import type { HelmProgram } from './helm-program.ts';
import { type ReleaseOptions, runTemplate } from './run-template.ts';

export interface RenderChartOptions extends ReleaseOptions {
  readonly chart: ChartContent;
  /** A mapping; `null` and `undefined` are an empty one. */
  readonly values: unknown;
}

export interface Rendering {
  /** YAML documents; before each a comment tells its template: `# Source: chart/templates/deployment.yaml`. */
  readonly text: string;
  /** What was not done as a cluster's Helm does it. */
  readonly warnings: readonly string[];
}

/**
 * What `helm template` gives for a chart: its CRDs, its subcharts that are switched on, its hooks and tests too. It runs
 * without network, cluster, environment and the user's settings, and bounded; `lookup` finds nothing.
 *
 * @throws EdgeBundleError RENDER_FAILED with Helm's own reason, RENDER_LIMIT, ABORTED, FILE_FAILED, NO_SPACE
 */
export async function renderChart(program: HelmProgram, options: RenderChartOptions): Promise<Rendering> {
  const { chart, values } = options;
  // They can be megabytes, which Helm would only print as they are.
  const crds = readsFiles(chart) || JSON.stringify(values ?? null).includes('Files') ? [] : crdPaths(chart);
  const { bytes, warnings } = helmArchive(chart, crds);
  const what = `cannot render chart ${chart.name} ${chart.version}`;
  const text = await runTemplate(program, { ...options, what, archive: bytes });
  return { text: printCrds(chart, crds) + text, warnings };
}
