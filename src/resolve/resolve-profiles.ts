import { availableParallelism } from 'node:os';
import { join } from 'node:path';

import pLimit from 'p-limit';

import type { OperationOptions } from '../content/store.ts';
import { type EdgeBundleError, isEdgeBundleError } from '../errors.ts';
import type { HelmFinder } from '../helm/helm-finder.ts';
import { MacroContext } from '../profile/macros/macros.ts';
import { combineProblems, problem } from '../profile/problems.ts';
import type { Profile } from '../profile/profile-kinds.ts';
import { registerSecret } from '../redaction.ts';
import { type AnalysedLayer, analyseWithMacros } from './analyse-with-macros.ts';
import { AnalysisCache } from './analysis-cache.ts';
import { ChartSet } from './chart-set.ts';
import { Exclusions } from './exclusions.ts';
import { ImageSet, type NamedImage } from './image-set.ts';
import { describeLayer, type Layer, readLayers } from './layers.ts';
import type { LocatedMention } from './layer-analysis.ts';
import type { ImageClass } from './mention.ts';
import type { Packages } from './packages.ts';
import { Renderer } from './renderer.ts';
import type { ExcludedImage, ResolvedInput, ResolvedLayer, ResolvedProfiles } from './resolved-profiles.ts';

export interface ResolveProfilesOptions extends OperationOptions {
  readonly profiles: readonly Profile[];
  readonly packages: Packages;
  /** Asked only where there is something to render. */
  readonly helm: HelmFinder;
  /** Values of variables and macros: see `MacroContext`. */
  readonly given?: ReadonlyMap<string, string> | undefined;
  /** Helm values of charts that are given by themselves, by the chart's name. */
  readonly chartValues?: ReadonlyMap<string, unknown> | undefined;
  /** `v1.33.5`. Default: that of the profiles' Kubernetes layer, or the one that Helm was made for. */
  readonly kubeVersion?: string | undefined;
  readonly apiVersions?: readonly string[] | undefined;
  /** Patterns of images to leave out: see `Exclusions`. */
  readonly exclude?: readonly string[] | undefined;
  /** Where analyses are kept between runs. Default: nowhere. */
  readonly cacheFolder?: string | undefined;
}

/** Enough to keep Helm busy while what it gave is read; all at once would be prepared before the first one runs. */
const layersAtOnce = 2 * availableParallelism() + 1;
const ranks = { kernel: 0, os: 1, k8s: 2, cni: 3, csi: 4, addon: 5 } as const satisfies Record<string, number>;

/**
 * Everything that profiles ask for: images with all the places that ask for them, charts and packs. What could not be
 * rendered is listed as `unrendered`: images may be missing then, and the caller decides what to do about it.
 *
 * @throws EdgeBundleError PROFILE_INVALID, MACRO_UNRESOLVED, CHART_INVALID, …, all problems of all packs together; HELM_MISSING,
 *   ABORTED, and what fetching packs and charts throws
 */
export async function resolveProfiles(options: ResolveProfilesOptions): Promise<ResolvedProfiles> {
  const { profiles, packages, chartValues = new Map<string, unknown>(), signal } = options;
  ensureOneInfrastructure(profiles);
  const exclusions = new Exclusions(options.exclude ?? []);
  const unknownNames = checkGiven(options.given ?? new Map<string, string>(), profiles);
  const read = await settleAll(profiles, (input) => readLayers(input, { packages, chartValues, signal }));
  const layers = read.flat();
  const kubeVersion = options.kubeVersion ?? kubeVersionOf(layers);
  const renderer = new Renderer({ helm: options.helm, kubeVersion, apiVersions: options.apiVersions, signal });
  const cache =
    options.cacheFolder === undefined ? undefined : new AnalysisCache(join(options.cacheFolder, 'analyses'));
  const contexts = new Map(profiles.map((profile) => [profile, macroContext(profile, layers, options.given)]));
  const limit = pLimit(layersAtOnce);
  const largestFirst = layers.toSorted((one, other) => bytesOf(other) - bytesOf(one));
  const found = await settleAll(largestFirst, (layer) =>
    limit(async () => {
      const macros = contexts.get(layer.input) ?? macroContext(layer.input, layers, options.given);
      return [layer, await analyseWithMacros(textsOf(layer), { macros, renderer, cache })] as const;
    }),
  );
  const analyses = new Map(found);
  const analysed = layers.flatMap((layer) => {
    const analysis = analyses.get(layer);
    return analysis === undefined ? [] : [{ layer, ...analysis }];
  });
  const inputs = read.flatMap((layersOfInput, index) => inputOf(profiles[index], layersOfInput));
  const summary = summarise(analysed.toSorted(byInstallation), exclusions, packages);
  return { inputs, ...summary, warnings: [...unknownNames, ...summary.warnings] };
}

/** So that no large chart is left for the end, when nothing else is there to be done beside it. */
function bytesOf({ definition }: Layer): number {
  return (definition?.charts ?? []).reduce((sum, { archive }) => sum + archive.byteLength, 0);
}

/** What was given as a folder or by an address has a digest only once it was read. */
function inputOf(profile: Profile | undefined, [layer]: readonly Layer[]): ResolvedInput[] {
  const { name, version, digest } = layer?.input ?? profile ?? {};
  const known = digest ?? layer?.definition?.digest;
  return name === undefined || known === undefined ? [] : [{ name, version, digest: known }];
}

type Analysed = AnalysedLayer & { readonly layer: Layer };

function summarise(
  analysed: readonly Analysed[],
  exclusions: Exclusions,
  packages: Packages,
): Omit<ResolvedProfiles, 'inputs'> {
  const images = new ImageSet();
  const charts = new ChartSet(packages);
  const namespaces = new Map<string, Set<string>>();
  const layers = analysed.map((each) => {
    const { layer, analysis, values } = each;
    const origin = { profile: layer.input.name, pack: layer.pack };
    const references = new Map<ImageClass, Set<string>>();
    const tagged = new Set<string>();
    for (const mention of analysis.mentions) {
      const reference = images.add(mention, origin);
      if (reference === undefined) continue;
      references.set(mention.class, (references.get(mention.class) ?? new Set()).add(reference));
      if (mention.class === 'declared' && mention.chart === undefined) tagged.add(reference);
      addNamespace(namespaces, reference, mention);
    }
    charts.add(layer, analysis);
    return resolvedLayer(layer, analysis.unrendered.length, { references, tagged, values });
  });
  if (images.problems.length > 0) throw combineProblems('the profiles cannot be resolved', images.problems);
  const [kept, excluded] = partition(images.images, exclusions, namespaces);
  return {
    images: kept,
    charts: charts.charts,
    excluded,
    unrendered: analysed.flatMap(({ layer, analysis }) =>
      analysis.unrendered.map(({ chart, code, reason, hint }) => ({
        profile: layer.input.name,
        pack: layer.pack,
        chart,
        code,
        reason,
        hint,
      })),
    ),
    layers,
    warnings: [
      ...new Set(analysed.flatMap(({ analysis }) => analysis.warnings)),
      ...charts.warnings,
      ...exclusions.unused.map((pattern) => `--exclude ${pattern} leaves out nothing`),
    ],
  };
}

interface FoundReferences {
  readonly references: ReadonlyMap<ImageClass, ReadonlySet<string>>;
  /** Content tags: what charts declare of themselves is not among them. */
  readonly tagged: ReadonlySet<string>;
  readonly values: string;
}

function resolvedLayer(
  { input, pack, version, layer, path, definition }: Layer,
  unrendered: number,
  { references, tagged, values }: FoundReferences,
): ResolvedLayer {
  const list = (name: ImageClass): readonly string[] => [...(references.get(name) ?? [])];
  return {
    profile: input.name,
    pack,
    version,
    layer,
    path,
    values,
    presets: definition?.presets,
    references: {
      declared: list('declared'),
      rendered: list('rendered'),
      referenced: list('referenced'),
      inferred: list('inferred'),
    },
    undeclared: list('rendered').filter((reference) => !tagged.has(reference)),
    unrendered,
  };
}

function partition(
  images: readonly NamedImage[],
  exclusions: Exclusions,
  namespaces: ReadonlyMap<string, ReadonlySet<string>>,
): [NamedImage[], ExcludedImage[]] {
  const kept: NamedImage[] = [];
  const excluded: ExcludedImage[] = [];
  for (const image of images) {
    const pattern = exclusions.find(image.reference);
    if (pattern === undefined) kept.push(image);
    else excluded.push({ ...image, pattern, namespaces: [...(namespaces.get(image.reference) ?? [])].sort() });
  }
  return [kept, excluded];
}

function addNamespace(namespaces: Map<string, Set<string>>, reference: string, { namespace }: LocatedMention): void {
  if (namespace === undefined) return;
  namespaces.set(reference, (namespaces.get(reference) ?? new Set()).add(namespace));
}

function textsOf(layer: Layer): Parameters<typeof analyseWithMacros>[0] {
  const { values, manifests, references, definition, notFound } = layer;
  const isOperatingSystem = layer.layer === 'os';
  return { where: describeLayer(layer), isOperatingSystem, values, manifests, references, definition, notFound };
}

/** A profile's macros see its own packs first, then those of the other profiles: they become one cluster. */
function macroContext(
  profile: Profile,
  layers: readonly Layer[],
  given: ReadonlyMap<string, string> | undefined,
): MacroContext {
  const variables = profile.kind === 'profile' ? (profile.document.spec.variables ?? []) : [];
  for (const { name, isSensitive } of variables) if (isSensitive === true) registerSecret(given?.get(name) ?? '');
  const own = layers.filter(({ input }) => input === profile);
  const others = layers.filter(({ input }) => input !== profile);
  return new MacroContext({
    packs: [...own, ...others].flatMap(({ pack, version, layer, values }) =>
      pack === undefined || layer === undefined ? [] : [{ name: pack, version, layer, values }],
    ),
    variables,
    given,
  });
}

/** Keeps the values of sensitive variables out of all output. Tells of names that no profile has: most likely misspelt. */
function checkGiven(given: ReadonlyMap<string, string>, profiles: readonly Profile[]): string[] {
  const variables = profiles.flatMap((profile) =>
    profile.kind === 'profile' ? (profile.document.spec.variables ?? []) : [],
  );
  for (const [name, value] of given) {
    const isSensitive = variables.some((variable) => variable.name === name && variable.isSensitive === true);
    if (isSensitive || /(password|secret|token|key)$/i.test(name)) registerSecret(value);
  }
  const known = new Set(variables.map(({ name }) => name));
  return [...given.keys()].flatMap((name) =>
    known.has(name) || /^(macro|system)\./.test(name)
      ? []
      : [`no profile has a variable '${name}': its value is not used`],
  );
}

/** As Helm wants it; undefined where the layer does not name one version exactly. */
function kubeVersionOf(layers: readonly Layer[]): string | undefined {
  const version = layers.find(({ layer }) => layer === 'k8s')?.version;
  const [, exact] = /^v?([0-9]+\.[0-9]+\.[0-9]+)(?:[-+].*)?$/.exec(version ?? '') ?? [];
  return exact === undefined ? undefined : `v${exact}`;
}

function ensureOneInfrastructure(profiles: readonly Profile[]): void {
  const names = profiles.flatMap((profile) => {
    if (profile.kind !== 'profile') return [];
    const { type } = profile.document.spec.template;
    return type === 'cluster' || type === 'infra' ? [`'${profile.name}' (${type})`] : [];
  });
  if (names.length < 2) return;
  throw problem(names.join(' and '), 'at most one infrastructure or full profile goes into a bundle', {
    hint: 'Give one of them, with any number of add-on profiles.',
  });
}

function byInstallation({ layer: one, analysis: oneAnalysis }: Analysed, { layer: other, analysis }: Analysed): number {
  return rankOf(one) - rankOf(other) || oneAnalysis.installPriority - analysis.installPriority;
}

function rankOf({ layer }: Layer): number {
  return ranks[layer ?? 'addon'];
}

/** Does all, and reports what is wrong with the profiles together. */
async function settleAll<T, R>(items: readonly T[], action: (item: T) => Promise<R>): Promise<R[]> {
  const results = await Promise.allSettled(items.map(action));
  const failures: EdgeBundleError[] = [];
  for (const result of results) {
    if (result.status === 'fulfilled') continue;
    const error: unknown = result.reason;
    if (!isEdgeBundleError(error) || error.code === 'ABORTED' || error.code === 'HELM_MISSING') throw error;
    failures.push(...(error.failures.length > 0 ? error.failures : [error]));
  }
  if (failures.length > 0) throw combineProblems('the profiles cannot be resolved', failures);
  return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}
