import type { ResolvedLayer } from '../resolve/resolved-profiles.ts';

/** A rule's name in the output, so that pipelines can tell them apart. docs/lint.md explains each one. */
export type LintRule =
  | 'storage-layer'
  | 'local-registry'
  | 'always-pull-images'
  | 'registry-storage'
  | 'registry-certificate'
  | 'architecture'
  | 'content-tags'
  | 'unrendered'
  | 'missing-image'
  | 'unknown-image'
  | 'latest-tag'
  | 'no-digest'
  | 'excluded-image';

/** Something that is wrong with a profile, or may be. */
export interface LintFinding {
  readonly rule: LintRule;
  /** `error`: the cluster will not work with its local registry as it is. */
  readonly severity: 'error' | 'warning' | 'info';
  readonly profile: string;
  readonly pack?: string | undefined;
  /** The place in the profile or the pack's values. */
  readonly path?: string | undefined;
  readonly message: string;
  /** What to change. */
  readonly change: string;
  /** YAML that can be applied as it is. */
  readonly patch?: string | undefined;
}

/** A layer whose values were read. */
export interface LintedLayer extends Omit<ResolvedLayer, 'values' | 'presets'> {
  readonly values: unknown;
}
