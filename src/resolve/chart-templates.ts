import type { ChartContent } from '../helm/chart.ts';

export interface ChartTemplate {
  /** `templates/pod.yaml`, `charts/redis/templates/pod.yaml` */
  readonly path: string;
  readonly text: string;
}

/** The templates of a chart and of all its subcharts. */
export function templatesOf({ files, subcharts }: ChartContent, folder = ''): ChartTemplate[] {
  const own = [...files].filter(([path]) => path.startsWith('templates/'));
  return [
    ...own.map(([path, content]) => ({ path: `${folder}${path}`, text: content.toString('utf8') })),
    ...subcharts.flatMap((chart) => templatesOf(chart, `${folder}charts/${chart.name}/`)),
  ];
}
