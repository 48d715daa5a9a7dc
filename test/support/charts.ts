import { gzipSync } from 'node:zlib';

import { tarOf } from './layers.ts';

/** A chart as `chartArtifact` takes it: its files, and the `.tgz` of them. */
export interface SampleChartArchive {
  readonly files: ReadonlyMap<string, Buffer>;
  readonly archive: Buffer;
}

/** Packs a chart, in a folder of any name, from `Chart.yaml` and more files by their paths. */
export function packChart(chartYaml: string, more: Readonly<Record<string, string>> = {}): SampleChartArchive {
  const files = new Map(
    Object.entries({ 'Chart.yaml': chartYaml, ...more }).map(([path, text]) => [path, Buffer.from(text)]),
  );
  const tar = tarOf([...files].map(([path, content]) => ({ path: `chart/${path}`, content })));
  return { files, archive: gzipSync(tar) };
}
