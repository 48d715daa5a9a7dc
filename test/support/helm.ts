import { fileURLToPath } from 'node:url';

import type { Chart } from '../../src/helm/chart.ts';
import { findHelm, type HelmProgram } from '../../src/helm/helm-program.ts';
import { readChart } from '../../src/helm/read-chart.ts';
import { type FileTexts, tarGzip } from './tar-archive.ts';

/** What `scripts/setup` fetched. */
export const helmPath = fileURLToPath(new URL('../../.tools/helm', import.meta.url));

let found: Promise<HelmProgram> | undefined;

export function pinnedHelm(): Promise<HelmProgram> {
  found ??= findHelm({ helm: helmPath, environment: { PATH: process.env.PATH } });
  return found;
}

/** A chart's files with a `Chart.yaml`, where they have none: `name: app`, `version: 1.2.3`. */
export function chartFiles(files: FileTexts, folder = 'app'): FileTexts {
  const all = { 'Chart.yaml': `apiVersion: v2\nname: ${folder}\nversion: 1.2.3\n`, ...files };
  return Object.fromEntries(Object.entries(all).map(([path, content]) => [`${folder}/${path}`, content]));
}

export function makeChart(files: FileTexts): Promise<Chart> {
  return readChart(tarGzip(chartFiles(files)), 'app');
}
