import * as z from 'zod';

import { listOf } from '../../content/list-schema.ts';
import type { EdgeBundleError } from '../../errors.ts';
import { applyPresets } from './presets.ts';
import { formatPath, problem } from '../problems.ts';
import { parseYaml } from '../yaml-text.ts';

const mapping = z.record(z.string(), z.unknown());
const mappings = z.record(z.string(), mapping.nullish()).nullish();

const few = { maxWrong: 20 };

/** `- image: nginx:1.27`, or the reference alone. */
const imageSchema = z.preprocess(
  (value) => (typeof value === 'string' ? { image: value } : value),
  z.looseObject({ image: z.string().min(1) }),
);

const chartSchema = z.looseObject({ repo: z.string(), name: z.string(), version: z.string() });

/** `name=value,name=value`, or a mapping. */
const labelsSchema = z.union([z.string(), z.record(z.string(), z.string())], {
  error: 'expected labels, as name=value,name=value or as a mapping of strings',
});

const valuesSchema = z.looseObject({
  pack: z
    .looseObject({
      content: z
        .looseObject({ images: listOf(imageSchema, few).nullish(), charts: listOf(chartSchema, few).nullish() })
        .nullish(),
      namespace: z.string().nullish(),
      namespaceLabels: z.record(z.string(), labelsSchema.nullish()).nullish(),
      releaseNameOverride: z.record(z.string(), z.string().nullish()).nullish(),
      'spectrocloud.com/install-priority': z.unknown().optional(),
    })
    .nullish(),
  options: mapping.nullish(),
  charts: mappings,
  manifests: mappings,
});

/** What is read of a pack's `values`. The records have no members but those that the values have. */
export interface PackValues {
  /** All of it, with presets applied. */
  readonly values: unknown;
  /** Content tags: `pack.content.images`, in order. */
  readonly images: readonly { readonly image: string; readonly path: string }[];
  /** Content tags: `pack.content.charts`, in order. */
  readonly contentCharts: readonly ContentChartTag[];
  /** `pack.namespace`: where the pack is installed. */
  readonly namespace: string | undefined;
  /** `pack.namespaceLabels`: labels by namespace. */
  readonly namespaceLabels: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** `pack.releaseNameOverride`: names of releases by chart. */
  readonly releaseNames: Readonly<Record<string, string>>;
  /** Lower is installed earlier; 0 where the pack does not say. */
  readonly installPriority: number;
  readonly options: Readonly<Record<string, unknown>>;
  /** The Helm values of each chart. */
  readonly charts: Readonly<Record<string, unknown>>;
  /** The values of each manifest template. */
  readonly manifests: Readonly<Record<string, unknown>>;
  /** The paths where an enabled preset overrides what the values say: see `AppliedPresets`. */
  readonly presetChanges: readonly string[];
  readonly problems: readonly EdgeBundleError[];
  readonly warnings: readonly string[];
}

export interface ContentChartTag {
  readonly repo: string;
  readonly name: string;
  readonly version: string;
  readonly path: string;
}

/**
 * Reads a pack's `values`, a mapping in YAML, and applies the presets that are enabled in it.
 *
 * @param where names the values in problems and warnings
 * @param presets the text of the pack's `presets.yaml`
 */
export function readPackValues(text: string, where: string, presets?: string): PackValues {
  const { documents, problems, warnings } = parseYaml(text, where, { allowsDuplicateKeys: true });
  if (documents.length > 1) return nothing([problem(where, `holds ${documents.length} YAML documents, not one`)]);
  if (problems.length > 0) return nothing(problems);
  const applied = applyPresets({ text, values: documents[0] ?? {}, presets, where });
  if (applied.problems.length > 0) return nothing(applied.problems);
  const result = valuesSchema.safeParse(applied.values);
  if (!result.success) return nothing(result.error.issues.map((issue) => issueProblem(issue, where)));
  const { pack, options, charts, manifests } = result.data;
  return {
    values: applied.values,
    images: (pack?.content?.images ?? []).map(({ image }, index) => ({ image, path: `pack.content.images[${index}]` })),
    contentCharts: (pack?.content?.charts ?? []).map(({ repo, name, version }, index) => ({
      repo,
      name,
      version,
      path: `pack.content.charts[${index}]`,
    })),
    namespace: pack?.namespace ?? undefined,
    namespaceLabels: record(pack?.namespaceLabels, readLabels),
    releaseNames: record(pack?.releaseNameOverride, (name) => name),
    installPriority: readPriority(pack?.['spectrocloud.com/install-priority']),
    options: record(options, (value) => value),
    charts: record(charts, (value) => value),
    manifests: record(manifests, (value) => value),
    presetChanges: applied.changes,
    problems: [],
    warnings: [...warnings, ...applied.warnings],
  };
}

function nothing(problems: readonly EdgeBundleError[]): PackValues {
  return {
    values: {},
    images: [],
    contentCharts: [],
    namespace: undefined,
    namespaceLabels: {},
    releaseNames: {},
    installPriority: 0,
    options: {},
    charts: {},
    manifests: {},
    presetChanges: [],
    problems,
    warnings: [],
  };
}

function issueProblem({ path, message }: z.core.$ZodIssue, where: string): EdgeBundleError {
  return problem(path.length === 0 ? where : `${where}#${formatPath(path)}`, message);
}

/** Without what is null, and without a prototype: a chart may be named `constructor`. */
function record<T, U>(
  members: Readonly<Record<string, T | null | undefined>> | null | undefined,
  read: (value: T) => U,
): Readonly<Record<string, U>> {
  const entries = Object.entries(members ?? {}).flatMap(([key, value]) =>
    value === null || value === undefined ? [] : [[key, read(value)] as const],
  );
  return Object.setPrototypeOf(Object.fromEntries(entries), null) as Record<string, U>;
}

function readLabels(labels: string | Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  if (typeof labels !== 'string') return labels;
  const pairs = labels.split(',').map((label) => label.trim());
  return Object.fromEntries(
    pairs
      .filter((label) => label !== '')
      .map((label) => {
        const equals = label.indexOf('=');
        return equals === -1 ? [label, ''] : [label.slice(0, equals).trim(), label.slice(equals + 1).trim()];
      }),
  );
}

/** It only orders, so what is no number counts as not said. */
function readPriority(value: unknown): number {
  const priority = typeof value === 'string' || typeof value === 'number' ? Number(value) : 0;
  return Number.isFinite(priority) ? priority : 0;
}
