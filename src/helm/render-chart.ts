import { isEdgeBundleError } from '../errors.ts';
import type { ChartContent } from './chart.ts';
import { helmArchive } from './helm-archive.ts';
import type { HelmProgram } from './helm-program.ts';
import { type ReleaseOptions, runTemplate } from './run-template.ts';

export interface RenderChartOptions extends ReleaseOptions {
  readonly chart: ChartContent;
  /** A mapping; `null` and `undefined` are an empty one. */
  readonly values: unknown;
  /** What Helm gets instead of a file that has a CustomResourceDefinition in it: megabytes, which it would only print. */
  readonly shorten?: ((text: string) => string) | undefined;
  /**
   * Whether certificates that the chart makes for itself may have elliptic keys, all the same one, where the chart asks for new
   * RSA keys: those can take longer than all the rest. Default: false.
   */
  readonly hasEllipticKeys?: boolean | undefined;
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
  const { chart, shorten, hasEllipticKeys } = options;
  const { bytes, warnings, ...archive } = helmArchive(chart, { shorten, hasEllipticKeys });
  const what = `cannot render chart ${chart.name} ${chart.version}`;
  try {
    return { text: await runTemplate(program, { ...options, what, archive: bytes }), warnings };
  } catch (error) {
    // What fails must be the chart as it is.
    if (!archive.hasEllipticKeys || !isEdgeBundleError(error, 'RENDER_FAILED')) throw error;
    return renderChart(program, { ...options, hasEllipticKeys: false });
  }
}
