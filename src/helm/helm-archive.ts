import { writeArchive } from '../files/write-archive.ts';
import { type ChartContent, schemaFile } from './chart.ts';
import { textOf } from './chart-metadata.ts';

export interface HelmArchive {
  readonly bytes: Buffer;
  /** What Helm is not given, and why. */
  readonly warnings: readonly string[];
}

/**
 * The chart as Helm gets it: a new archive of the files that were read, so that Helm cannot see other ones in it than we
 * did. A `values.schema.json` that refers to something outside of itself is left out: Helm 4.1.4 would fetch `http:`
 * references from the network, and read `file:` ones.
 *
 * @param leftOut paths of the chart that Helm is not given
 */
export function helmArchive(chart: ChartContent, leftOut: readonly string[] = []): HelmArchive {
  const files = new Map<string, Buffer>();
  const warnings: string[] = [];
  const add = (content: ChartContent, folder: string, label: string): void => {
    for (const [path, bytes] of content.files) {
      const reason = path === schemaFile ? outsideReference(bytes) : undefined;
      if (reason === undefined) files.set(`${folder}/${path}`, bytes);
      else warnings.push(`${label}: its values were not checked: ${schemaFile} ${reason}`);
    }
    content.subcharts.forEach((subchart, index) => {
      add(subchart, `${folder}/charts/${index}`, `${label}: subchart ${subchart.name}`);
    });
  };
  add(chart, 'chart', `chart ${chart.name}`);
  for (const path of leftOut) files.delete(`chart/${path}`);
  return { bytes: writeArchive(files), warnings };
}

const references: ReadonlySet<string> = new Set(['$ref', '$dynamicRef', '$recursiveRef']);

/** Helm's validators have these built in. */
const knownSchema = /^https?:\/\/json-schema\.org\/((draft-0[467]|draft\/(2019-09|2020-12))\/)?schema#?$/;

/** Why a JSON schema cannot be used alone; undefined where it can. */
function outsideReference(schema: Buffer): string | undefined {
  let found: string | undefined;
  const look = (key: string, value: unknown): unknown => {
    if (typeof value !== 'string') return value;
    const isOutside =
      (references.has(key) && !value.startsWith('#') && !knownSchema.test(value)) ||
      (key === '$schema' && !knownSchema.test(value));
    if (isOutside) found ??= `refers to '${value.slice(0, 200)}'`;
    return value;
  };
  try {
    JSON.parse(textOf(schema), look);
  } catch {
    return 'is not JSON';
  }
  return found;
}
