import { CORE_SCHEMA, load } from 'js-yaml';
import * as z from 'zod';

import { listOf, recordOf } from '../content/list-schema.ts';
import { EdgeBundleError, errorMessage } from '../errors.ts';
import { type ChartContent, chartFile } from './chart.ts';

export type ChartMetadata = Pick<
  ChartContent,
  'name' | 'version' | 'appVersion' | 'type' | 'annotations' | 'kubeVersion' | 'dependencies'
>;

const maxMetadataBytes = 1024 * 1024;

/** Helm takes a number for a text here: `version: 1.0`. */
const scalar = z.union([z.string(), z.number(), z.boolean()], { error: 'expected a text' }).transform(String);
const text = scalar.nullish().transform((value) => value ?? undefined);

const dependenciesSchema = listOf(z.object({ name: scalar, alias: text, version: text, repository: text }))
  .nullish()
  .transform((list) => list ?? []);

const chartSchema = z.object({
  name: scalar,
  version: scalar,
  appVersion: text,
  type: text,
  annotations: recordOf(text)
    .nullish()
    .transform((record) => record ?? {}),
  kubeVersion: text,
  dependencies: dependenciesSchema,
});

const requirementsSchema = z
  .object({ dependencies: dependenciesSchema })
  .nullish()
  .transform((requirements) => requirements?.dependencies ?? []);

/**
 * `Chart.yaml`, with `requirements.yaml` where there is one.
 *
 * @throws EdgeBundleError CHART_INVALID
 */
export function readMetadata(files: ReadonlyMap<string, Buffer>, where: string): ChartMetadata {
  const file = files.get(chartFile);
  if (file === undefined) {
    throw new EdgeBundleError('CHART_INVALID', `${where}: it is no chart: it has no ${chartFile}`, {
      hint: `In an archive, ${chartFile} is in a folder named like the chart.`,
    });
  }
  const chart = parse(file, chartSchema, `${where}: ${chartFile}`);
  const requirements = files.get('requirements.yaml');
  const more = requirements === undefined ? [] : parse(requirements, requirementsSchema, `${where}: requirements.yaml`);
  const annotations = Object.entries(chart.annotations).filter((entry): entry is [string, string] => {
    return entry[1] !== undefined;
  });
  return {
    ...chart,
    type: chart.type === 'library' ? 'library' : 'application',
    annotations: Object.fromEntries(annotations),
    dependencies: [...chart.dependencies, ...more],
  };
}

function parse<T>(file: Buffer, schema: z.ZodType<T>, where: string): T {
  if (file.byteLength > maxMetadataBytes) {
    throw invalid(where, `it has ${file.byteLength} bytes; at most ${maxMetadataBytes} are read`);
  }
  const result = schema.safeParse(loadYaml(textOf(file), where));
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw invalid(where, `at '${issue?.path.join('.') ?? ''}': ${issue?.message ?? 'unknown'}`);
}

/** Of a key that is there twice the last one counts, as for Helm. */
function loadYaml(yaml: string, where: string): unknown {
  try {
    return load(yaml, { schema: CORE_SCHEMA, json: true });
  } catch (cause) {
    throw invalid(where, `it is not YAML: ${errorMessage(cause).split('\n', 1)[0] ?? ''}`, cause);
  }
}

/** Helm passes over a byte order mark. */
export function textOf(file: Buffer): string {
  return file.toString('utf8').replace(/^\uFEFF/, '');
}

function invalid(where: string, reason: string, cause?: unknown): EdgeBundleError {
  return new EdgeBundleError('CHART_INVALID', `${where}: ${reason}`, { cause });
}
