import pLimit from 'p-limit';

import { EdgeBundleError, isEdgeBundleError } from '../errors.ts';
import { readChart } from '../helm/read-chart.ts';
import type { MacroContext, UnresolvedMacro } from '../profile/macros/macros.ts';
import { readPackValues } from '../profile/packs/pack-values.ts';
import { pathsOf, type PlaceholderStyle, placeholdersIn } from '../profile/macros/placeholders.ts';
import { combineProblems } from '../profile/problems.ts';
import { analyseLayer, type LayerTexts } from './analyse-layer.ts';
import { type AnalysisCache, analysisKey } from './analysis-cache.ts';
import { templatesOf } from './chart-templates.ts';
import { comparedTexts } from './compared-texts.ts';
import type { LayerAnalysis } from './layer-analysis.ts';
import type { Renderer } from './renderer.ts';

export interface AnalysisTools {
  readonly macros: MacroContext;
  readonly renderer: Renderer;
  readonly cache: AnalysisCache | undefined;
}

export interface AnalysedLayer {
  readonly analysis: LayerAnalysis;
  /** The pack's values, macros replaced, in YAML. */
  readonly values: string;
}

/** What is tried in place of a macro that is not known: if it decided which images run, one of them would show it. */
const otherPlaceholders = ['number', 'empty'] as const satisfies readonly PlaceholderStyle[];
/** Each is a run of Helm. */
const maxComparedTexts = 64;
/** Most profiles have many layers, which are analysed at once. */
const othersAtOnce = 2;

/**
 * Analyses a layer whose texts may hold macros. One whose value is not known is an error where it may touch an image: where it
 * is part of one, or where the images are others with another value in its place: a number, nothing, or one of the texts
 * that the templates compare something with.
 *
 * @throws EdgeBundleError MACRO_UNRESOLVED, and what `analyseLayer` throws
 */
export async function analyseWithMacros(layer: LayerTexts, tools: AnalysisTools): Promise<AnalysedLayer> {
  const first = replaceMacros(layer, tools.macros, 'word');
  const analysis = await analyseCached(first.layer, tools);
  if (first.unresolved.length === 0) return { analysis, values: first.layer.values };

  const problems = taintedImages(analysis, first, layer.where);
  if (problems.length > 0) throw combineProblems(layer.where, problems);
  const given = await findGivenMacros(first);
  if (given.macros.length === 0) return { analysis, values: first.layer.values };
  if (given.texts === undefined) throw dependsOn(given.macros, layer.where);
  const others = [
    ...otherPlaceholders.map((style) => () => replaceMacros(layer, tools.macros, style).layer),
    ...given.texts.map((text) => () => withText(first.layer, given.macros, text)),
  ];
  const attempts = [analysis, ...(await analyseOthers(others, tools))];
  // A number may be the only thing that a chart takes there, or the only thing that it does not take.
  const fewest = Math.min(...attempts.map(({ unrendered }) => unrendered.length));
  const complete = attempts.filter(({ unrendered }) => unrendered.length === fewest);
  const [best = analysis] = complete;
  if (complete.some((other) => !haveSameImages(best, other))) throw dependsOn(given.macros, layer.where);
  return { analysis: best, values: first.layer.values };
}

interface GivenMacros {
  /** Those that are in something that Helm is given. */
  readonly macros: readonly UnresolvedMacro[];
  /** What templates compare them with; undefined where that can be anything. */
  readonly texts: readonly string[] | undefined;
}

/** The unresolved macros that Helm gets to see, and what its templates may compare them with. */
async function findGivenMacros({ layer, unresolved }: ReplacedMacros): Promise<GivenMacros> {
  const { definition, where, values } = layer;
  if (definition === undefined) return { macros: [], texts: [] };
  const { charts, manifests, namespace, releaseNames } = readPackValues(values, `${where}.values`, definition.presets);
  const given = { charts, manifests, namespace, releaseNames };
  const words = new Set(placeholdersIn([given, definition.manifests]));
  const macros = unresolved.filter(({ placeholder }) => words.has(placeholder));
  if (macros.length === 0) return { macros, texts: [] };
  const paths = macros.flatMap(({ placeholder }) => pathsOf(placeholder, given));
  const keys = [
    ...paths.map((path) => path.replace(/(\[\d+\])+$/, '').replace(/^.*\./s, '')),
    ...macros.map(({ placeholder }) => placeholder),
  ];
  const read = await Promise.all(
    definition.charts.map(({ path, archive }) => readChart(archive, `${where}, '${path}'`)),
  );
  const templates = [...read.flatMap((chart) => templatesOf(chart)), ...definition.manifests].map(({ text }) => text);
  // Values may hold templates themselves.
  const { texts, areEndless } = comparedTexts([...templates, values], keys);
  return { macros, texts: areEndless || texts.length > maxComparedTexts ? undefined : texts };
}

function withText(layer: LayerTexts, macros: readonly UnresolvedMacro[], text: string): LayerTexts {
  const replaced = (written: string): string =>
    macros.reduce((all, { placeholder }) => all.replaceAll(placeholder, text), written);
  const { values, definition } = layer;
  return {
    ...layer,
    values: replaced(values),
    definition: definition && {
      ...definition,
      manifests: definition.manifests.map((manifest) => ({ ...manifest, text: replaced(manifest.text) })),
      presets: definition.presets && replaced(definition.presets),
    },
  };
}

/** What is no valid pack then says nothing. */
async function analyseOthers(others: readonly (() => LayerTexts)[], tools: AnalysisTools): Promise<LayerAnalysis[]> {
  const limit = pLimit(othersAtOnce);
  const analyse = async (make: () => LayerTexts): Promise<LayerAnalysis[]> => {
    try {
      return [await analyseCached(make(), tools)];
    } catch (error) {
      if (isEdgeBundleError(error, 'PROFILE_INVALID')) return [];
      throw error;
    }
  };
  return (await Promise.all(others.map((make) => limit(() => analyse(make))))).flat();
}

function dependsOn(macros: readonly UnresolvedMacro[], where: string): EdgeBundleError {
  const named = macros.map(({ macro }) => macro).join(', ');
  const reason = `${where}: which images run depends on macros that are not known: ${named}`;
  return new EdgeBundleError('MACRO_UNRESOLVED', reason, { hint: hintOf(macros) });
}

interface ReplacedMacros {
  readonly layer: LayerTexts;
  readonly unresolved: readonly UnresolvedMacro[];
}

function replaceMacros(layer: LayerTexts, macros: MacroContext, placeholders: PlaceholderStyle): ReplacedMacros {
  const values = macros.resolve(layer.values, `${layer.where}.values`, { placeholders });
  const manifests = layer.manifests.map(({ path, text }) => ({
    path,
    resolved: macros.resolve(text, `${layer.where}.${path}`, { placeholders }),
  }));
  const { definition } = layer;
  const templates = (definition?.manifests ?? []).map((template) => ({
    template,
    resolved: macros.resolve(template.text, `${layer.where}, ${template.path}`, { placeholders }),
  }));
  const presets = macros.resolve(definition?.presets ?? '', `${layer.where}, presets.yaml`, { placeholders });
  const all = [values, presets, ...[...manifests, ...templates].map(({ resolved }) => resolved)];
  const problems = all.flatMap((each) => each.problems);
  if (problems.length > 0) throw combineProblems(layer.where, problems);
  return {
    layer: {
      ...layer,
      values: values.text,
      manifests: manifests.map(({ path, resolved }) => ({ path, text: resolved.text })),
      definition: definition && {
        ...definition,
        manifests: templates.map(({ template, resolved }) => ({ ...template, text: resolved.text })),
        presets: definition.presets && presets.text,
      },
    },
    unresolved: all.flatMap(({ unresolved }) => unresolved),
  };
}

/** An error for each macro that is part of an image, with the places. */
function taintedImages({ mentions }: LayerAnalysis, { unresolved }: ReplacedMacros, where: string): EdgeBundleError[] {
  return unresolved.flatMap(({ macro, reason, hint, placeholder }) => {
    const places = mentions.filter(({ image }) => placeholdersIn(image).includes(placeholder)).map(({ path }) => path);
    if (places.length === 0) return [];
    const message = `${where}, ${[...new Set(places)].join(', ')}: an image depends on ${macro}, and ${reason}`;
    return [new EdgeBundleError('MACRO_UNRESOLVED', message, hint === undefined ? {} : { hint })];
  });
}

function haveSameImages(one: LayerAnalysis, other: LayerAnalysis): boolean {
  const imagesOf = ({ mentions }: LayerAnalysis): string =>
    JSON.stringify([...new Set(mentions.map(({ image }) => image))].sort());
  return imagesOf(one) === imagesOf(other);
}

function hintOf(unresolved: readonly UnresolvedMacro[]): string {
  return unresolved.find(({ hint }) => hint !== undefined)?.hint ?? 'Give their values with --var or --var-file.';
}

async function analyseCached(layer: LayerTexts, { renderer, cache }: AnalysisTools): Promise<LayerAnalysis> {
  if (cache === undefined || layer.definition === undefined) return analyseLayer(layer, renderer);
  const { definition, values, manifests, references, isOperatingSystem, where } = layer;
  const key = analysisKey([
    ...(await renderer.fingerprint()),
    definition.digest,
    JSON.stringify({ where, values, manifests, references, isOperatingSystem }),
    // With macros replaced, which the digest does not know of.
    JSON.stringify([definition.presets, definition.manifests]),
  ]);
  const known = await cache.find(key);
  if (known !== undefined) return known;
  const analysis = await analyseLayer(layer, renderer);
  if (analysis.unrendered.every(({ code }) => code !== 'RENDER_LIMIT')) await cache.keep(key, analysis);
  return analysis;
}
