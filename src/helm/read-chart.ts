import { digestOf } from '../content/digest.ts';
import { EdgeBundleError } from '../errors.ts';
import { readArchive } from '../files/read-archive.ts';
import { type Chart, type ChartContent, valuesFile } from './chart.ts';
import { readMetadata, textOf } from './chart-metadata.ts';

/** Helm 4 takes no more of one archive (`MaxDecompressedChartSize`); here it is for the chart and all in its `charts/`. */
const maxChartBytes = 100 * 1024 * 1024;
const maxDepth = 10;

/** What may still be unpacked: charts in charts share it. */
interface Budget {
  bytes: number;
}

interface Place {
  readonly where: string;
  readonly budget: Budget;
  readonly depth: number;
}

/**
 * Reads a chart's `.tgz` in memory, with the charts in it. API versions v1 and v2.
 *
 * @param where names the chart in messages
 * @throws EdgeBundleError ARCHIVE_INVALID, CHART_INVALID
 */
export async function readChart(bytes: Buffer, where: string): Promise<Chart> {
  const content = await readArchived(bytes, { where, budget: { bytes: maxChartBytes }, depth: 0 });
  return { ...content, archive: bytes, digest: digestOf(bytes) };
}

async function readArchived(bytes: Buffer, place: Place): Promise<ChartContent> {
  const { where, budget } = place;
  const archived = await readArchive(bytes, { where, maxBytes: budget.bytes });
  const files = new Map<string, Buffer>();
  for (const [path, content] of archived) {
    budget.bytes -= content.byteLength;
    // The first folder has the chart's name, or any other: Helm does not look at it.
    const slash = path.indexOf('/');
    if (slash === -1) continue;
    const inside = path.slice(slash + 1);
    if (files.has(inside)) {
      throw new EdgeBundleError(
        'ARCHIVE_INVALID',
        `${where}: '${inside}' is in it twice, in folders of different names`,
      );
    }
    files.set(inside, content);
  }
  return readFiles(files, place);
}

async function readFiles(all: ReadonlyMap<string, Buffer>, place: Place): Promise<ChartContent> {
  const { where, depth } = place;
  if (depth > maxDepth) {
    throw new EdgeBundleError('CHART_INVALID', `${where}: charts are nested more than ${maxDepth} deep`);
  }
  const files = new Map<string, Buffer>();
  const folders = new Map<string, Map<string, Buffer>>();
  const subcharts: ChartContent[] = [];
  for (const [path, content] of all) {
    const { name, rest } = /^charts\/(?<name>[^/]+)(\/(?<rest>.+))?$/s.exec(path)?.groups ?? {};
    if (name === undefined) {
      files.set(path, content);
    } else if (/^[._]/.test(name)) {
      // As Helm does: it is there for people.
    } else if (rest !== undefined) {
      folders.set(name, (folders.get(name) ?? new Map<string, Buffer>()).set(rest, content));
    } else if (name.endsWith('.tgz')) {
      subcharts.push(await readArchived(content, { ...place, where: `${where}: ${path}`, depth: depth + 1 }));
    }
  }
  for (const [name, inside] of folders) {
    subcharts.push(await readFiles(inside, { ...place, where: `${where}: charts/${name}`, depth: depth + 1 }));
  }
  const values = files.get(valuesFile);
  return { ...readMetadata(files, where), values: values === undefined ? '' : textOf(values), files, subcharts };
}
