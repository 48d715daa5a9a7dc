import type { CheckedImages } from '../resolve/check-images.ts';
import type { MovedReference } from '../resolve/lock-file.ts';
import type { Resolution } from '../resolve/resolved-profiles.ts';
import type { ResolveDocument } from '../report/documents.ts';

export interface ResolutionFacts {
  readonly images: CheckedImages['images'];
  readonly missing: CheckedImages['missing'];
  readonly moved: readonly MovedReference[];
}

/** What `resolve` writes as JSON. */
export function resolveDocument(resolved: Resolution, facts: ResolutionFacts): ResolveDocument {
  const missing = new Set(facts.missing.map(({ reference }) => reference));
  return {
    images: facts.images.map(({ digest, ...image }) => ({
      ...found(image),
      ...(digest === undefined ? {} : { digest }),
    })),
    charts: resolved.charts.map(({ kind, name, version, reference, sources }) => ({
      kind,
      name,
      version,
      reference,
      sources: [...sources],
    })),
    missing: facts.missing.map(({ reason, ...image }) => ({ ...found(image), reason })),
    excluded: resolved.excluded.map(({ pattern, namespaces, ...image }) => ({
      ...found(image),
      pattern,
      namespaces: [...namespaces],
    })),
    unrendered: resolved.unrendered.map(({ profile, pack, chart, reason }) => ({
      profile,
      ...(pack === undefined ? {} : { pack }),
      ...(chart === undefined ? {} : { chart }),
      reason,
    })),
    packs: resolved.layers.map(({ profile, pack, version, references, undeclared, unrendered }) => ({
      profile,
      ...(pack === undefined ? {} : { pack }),
      ...(version === undefined ? {} : { version }),
      declared: references.declared.length,
      rendered: references.rendered.length,
      referenced: references.referenced.length,
      inferred: references.inferred.length,
      undeclared: [...undeclared],
      missing: [...new Set(Object.values(references).flat())].filter((reference) => missing.has(reference)),
      unrendered,
    })),
    moved: [...facts.moved],
    warnings: [...resolved.warnings],
  };
}

function found({
  reference,
  spellings,
  classes,
  sources,
}: Omit<CheckedImages['images'][number], 'digest'>): Pick<
  ResolveDocument['images'][number],
  'reference' | 'spellings' | 'classes' | 'sources'
> {
  return { reference, spellings: [...spellings], classes: [...classes], sources: [...sources] };
}
