import { z } from 'zod';

import type { EdgeBundleError } from '../errors.ts';
import { formatPath, problem } from './problems.ts';
import { parseYaml } from './yaml-text.ts';

const valuesSchema = z
  .looseObject({
    pack: z
      .looseObject({
        content: z.looseObject({ images: z.array(z.looseObject({ image: z.string() })).nullish() }).nullish(),
        'spectrocloud.com/install-priority': z.unknown().optional(),
      })
      .nullish(),
    charts: z.unknown().optional(),
    manifests: z.unknown().optional(),
  })
  .nullish();

/** What is read of a pack's `values`. */
export interface PackValues {
  /** Content tags: `pack.content.images`, in order. */
  readonly images: readonly string[];
  /** Lower is installed earlier; 0 where the pack does not say. */
  readonly installPriority: number;
  /** Whether the pack has charts or manifest templates, which have to be rendered to see their images. */
  readonly hasTemplates: boolean;
  readonly problems: readonly EdgeBundleError[];
}

/** Reads the YAML of a pack's `values`. `where` names it in the problems. */
export function readPackValues(text: string, where: string): PackValues {
  const { documents, problems } = parseYaml(text, where);
  if (documents.length > 1) return withProblems([problem(where, `holds ${documents.length} YAML documents, not one`)]);
  const result = valuesSchema.safeParse(documents[0]);
  if (!result.success) {
    return withProblems(
      result.error.issues.map(({ path, message }) =>
        problem(path.length === 0 ? where : `${where}#${formatPath(path)}`, message),
      ),
    );
  }
  const { pack, charts, manifests } = result.data ?? {};
  return {
    images: (pack?.content?.images ?? []).map(({ image }) => image),
    installPriority: readPriority(pack?.['spectrocloud.com/install-priority']),
    hasTemplates: hasMembers(charts) || hasMembers(manifests),
    problems,
  };
}

function withProblems(problems: readonly EdgeBundleError[]): PackValues {
  return { images: [], installPriority: 0, hasTemplates: false, problems };
}

/** It only orders, so what is no number counts as not said. */
function readPriority(value: unknown): number {
  const priority = typeof value === 'string' || typeof value === 'number' ? Number(value) : 0;
  return Number.isFinite(priority) ? priority : 0;
}

function hasMembers(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length > 0;
}
