import type { ChartContent } from './chart.ts';
import { textOf } from './chart-metadata.ts';

const definitionFile = /^crds\/.*\.(ya?ml|json)$/s;

/** The paths of a chart's own files in `crds/` (Helm 4, "Custom Resource Definitions"): they are no templates. */
export function crdPaths({ files }: ChartContent): string[] {
  return [...files.keys()].filter((path) => definitionFile.test(path)).sort();
}

/** What `helm template --include-crds` prints for files in `crds/`. */
export function printCrds({ name, files }: ChartContent, paths: readonly string[]): string {
  const documents = paths.map(
    (path) => `---\n# Source: ${name}/${path}\n${textOf(files.get(path) ?? Buffer.alloc(0))}\n`,
  );
  return documents.join('');
}

/** Whether a template of the chart may read files of it; values may be templates too. */
export function readsFiles({ files, values, subcharts }: ChartContent): boolean {
  const isReading = (text: string): boolean => text.includes('Files');
  const templates = [...files].filter(([path]) => path.startsWith('templates/'));
  return (
    isReading(values) ||
    templates.some(([, content]) => isReading(content.toString('latin1'))) ||
    subcharts.some((subchart) => readsFiles(subchart))
  );
}
