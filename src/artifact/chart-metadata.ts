import { type Document, isCollection, parseAllDocuments, type Tags, visit } from 'yaml';
import * as z from 'zod';

import { listOf, recordOf } from '../content/list-schema.ts';
import { whyUnreadableYaml } from '../content/yaml-limits.ts';
import { EdgeBundleError, errorMessage } from '../errors.ts';
import { sortMembers } from './go-json.ts';

const maxBytes = 1024 * 1024;

/** Helm takes numbers and truth values for text where it wants text, and null for empty text. */
const text = z
  .union([z.string(), z.number(), z.boolean(), z.null()])
  .optional()
  .transform((value) => (value === null || value === undefined ? '' : String(value)));
const printed = text.transform(printable);
const flag = z
  .boolean()
  .nullish()
  .transform((value) => value ?? false);
/** Helm leaves out what is empty. */
const textOrNone = text.transform((value) => (value === '' ? undefined : value));
const printedOrNone = printed.transform((value) => (value === '' ? undefined : value));
const flagOrNone = flag.transform((value) => (value ? true : undefined));
const printedList = listOrNone(printed);

/** The members of `Chart.yaml` in the order in which Helm writes them (Helm 4.1, pkg/chart/v2, `Metadata`); others are dropped. */
const metadataSchema = z.object({
  name: printed.refine((name) => name !== '', { error: 'a chart has a name' }),
  home: printedOrNone,
  sources: printedList,
  version: text.refine((version) => version !== '', { error: 'a chart has a version' }),
  description: printedOrNone,
  keywords: printedList,
  maintainers: listOrNone(z.object({ name: printedOrNone, email: printedOrNone, url: printedOrNone })),
  icon: printedOrNone,
  // Charts of Helm 2 have none.
  apiVersion: text.transform((version) => (version === '' ? 'v1' : version)),
  condition: printedOrNone,
  tags: printedOrNone,
  appVersion: printedOrNone,
  deprecated: flagOrNone,
  annotations: recordOf(text)
    .nullish()
    .transform((members) => (members && Object.keys(members).length > 0 ? sortMembers(members) : undefined)),
  kubeVersion: printedOrNone,
  dependencies: listOrNone(
    z.object({
      name: printed,
      version: printedOrNone,
      repository: printed,
      condition: printedOrNone,
      tags: printedList,
      enabled: flagOrNone,
      'import-values': listOrNone(z.union([z.record(z.string(), z.unknown()).transform(sortMembers), z.unknown()])),
      alias: textOrNone,
    }),
  ),
  type: textOrNone,
});

export type ChartMetadata = z.infer<typeof metadataSchema>;

/**
 * A chart's `Chart.yaml` as Helm reads it, with its members in the order in which Helm writes them as JSON.
 *
 * @param requirements `requirements.yaml`, where charts of Helm 2 have their dependencies
 * @throws EdgeBundleError CHART_INVALID
 */
export function readChartMetadata(chartYaml: Buffer, requirements: Buffer | undefined, where: string): ChartMetadata {
  const result = metadataSchema.safeParse({
    ...readMapping(chartYaml, `${where}: Chart.yaml`),
    ...(requirements === undefined ? {} : readMapping(requirements, `${where}: requirements.yaml`)),
  });
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw invalid(`${where}: Chart.yaml`, `it is malformed at '${issue?.path.join('.') ?? ''}': ${issue?.message ?? ''}`);
}

function hasCompoundKeys(document: Document.Parsed | undefined): boolean {
  let isFound = false;
  if (document !== undefined) {
    visit(document, {
      Pair: (_, { key }) => {
        isFound ||= isCollection(key);
        return isFound ? visit.BREAK : undefined;
      },
    });
  }
  return isFound;
}

function readMapping(bytes: Buffer, where: string): object {
  if (bytes.byteLength > maxBytes)
    throw invalid(where, `it has ${bytes.byteLength} bytes; at most ${maxBytes} are read`);
  const text = bytes.toString('utf8');
  const obstacle = whyUnreadableYaml(text, { allowsDuplicateKeys: true });
  if (obstacle !== undefined) throw invalid(where, obstacle);
  const options = { version: '1.1', uniqueKeys: false, logLevel: 'error', prettyErrors: false } as const;
  try {
    const [document] = parseAllDocuments(text, { ...options, customTags: withoutTimes });
    const [error] = document?.errors ?? [];
    if (error !== undefined) throw error;
    // 600 bytes of keys of keys take the library 14 seconds to write as texts.
    if (hasCompoundKeys(document)) throw new Error('it has a key that is no text');
    const value: unknown = document?.toJS({ maxAliasCount: 100 });
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch (cause) {
    throw invalid(where, errorMessage(cause), cause);
  }
  throw invalid(where, 'it is not a mapping');
}

/** YAML 1.1 has dates and times as types of their own; the reader in Helm takes them for text. */
function withoutTimes(tags: Tags): Tags {
  return tags.filter(
    (tag) => typeof tag === 'string' || !(tag.format === 'TIME' || tag.tag === 'tag:yaml.org,2002:timestamp'),
  );
}

/** Helm (pkg/chart/v2, `sanitizeString`) makes each white space a space, and drops what cannot be printed. */
function printable(value: string): string {
  return value.replace(/\p{White_Space}/gu, ' ').replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, '');
}

function listOrNone<T>(element: z.ZodType<T>): z.ZodType<T[] | undefined> {
  return listOf(element)
    .nullish()
    .transform((values) => (values && values.length > 0 ? values : undefined));
}

function invalid(where: string, reason: string, cause?: unknown): EdgeBundleError {
  return new EdgeBundleError('CHART_INVALID', `${where}: ${reason}`, { cause });
}
